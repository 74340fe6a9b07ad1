# SPDX-License-Identifier: Apache-2.0
"""One boot of a runtime host: what all bundles served in one process share."""

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from insight_edge.documents.owner import Owner
from insight_edge.runtime.outcomes import OutcomeLog
from insight_edge.runtime.predictions import PredictionLog
from insight_edge.runtime.shelf import Shelf

if TYPE_CHECKING:
    from insight_edge.runtime.capture import Capture


class Boot(msgspec.Struct, frozen=True, kw_only=True):
    """The identity of one process, and what outlives a swap in it.

    Attributes:
        owner: of the state directory; device `local` before enrolment.
        number: grows by one each time a host starts on its state directory; 0 without one.
        shelf: closed windows.
        predictions: sampled results.
        outcomes: what the application learned later.
        capture: of inputs to look at; None without a state directory.
        counter: numbers results; `next` of it is atomic.
    """

    owner: Owner
    number: int
    shelf: Shelf
    capture: "Capture | None" = None
    predictions: PredictionLog = msgspec.field(default_factory=PredictionLog)
    outcomes: OutcomeLog = msgspec.field(default_factory=OutcomeLog)
    counter: Iterator[int] = msgspec.field(default_factory=itertools.count)
