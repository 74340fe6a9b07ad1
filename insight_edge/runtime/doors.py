# SPDX-License-Identifier: Apache-2.0
"""What the agent may ask of a runtime, as the host protocol's requests.

It translates: the deciding and the doing are in `swap`, `shelf` and `serving`.
"""

import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from insight_edge.bundle.open import Bundle
from insight_edge.documents.desired import Challenging
from insight_edge.documents.facts import EngineFacts
from insight_edge.documents.host import Health, Hello, OutcomeRow, PredictionRow, SwapRecord
from insight_edge.documents.report import Counts, Report
from insight_edge.errors import SlotError
from insight_edge.runtime.boot import Boot
from insight_edge.runtime.loading import engine_facts
from insight_edge.runtime.resident import resident_bytes
from insight_edge.runtime.swap import Opening, Succession

if TYPE_CHECKING:
    from insight_edge.bundle.slots import Slots
    from insight_edge.runtime.challenger import Challenger


Contest = Callable[[Opening, Challenging | None], str | None]


class Doors:
    """The requests of the host protocol; every one may come from any thread.

    Attributes:
        challenger: beside the serving bundle, if there is one.
        contest: loads what challenges, or ends that; returns the digest of what does then.
    """

    def __init__(
        self, succession: Succession, boot: Boot, slots: "Slots | None", *, allow_unsigned: bool
    ) -> None:
        self._succession = succession
        self._boot = boot
        self._slots = slots
        self._allow_unsigned = allow_unsigned
        self._taking = threading.Lock()
        self.challenger: Challenger | None = None
        self.contest: Contest | None = None
        self._asked_for: Challenger | None = None

    def hello(self) -> Hello:
        """Return what this host is: protocol, process, engines, the bundle that serves."""
        serving = self._succession.serving
        facts = engine_facts()
        return Hello(
            pid=os.getpid(),
            engines={name: f for name, f in facts.items() if isinstance(f, EngineFacts)},
            serving=None if serving is None else serving.digest,
            leaving=self._succession.closed,
        )

    def activate(self, slot: str) -> SwapRecord:
        """Swap to the bundle in a slot; committing it is the agent's decision.

        Raises:
            UpdateError: with its phase; the old bundle keeps serving.
            ValueError: there is no state directory, or the runtime is closed.
        """
        slots = self._slots
        if slots is None:
            raise ValueError("a runtime without a state directory has no slots")
        return self._succession.swap(
            lambda: slots.bundle(slot, allow_unsigned=self._allow_unsigned)
        )

    def challenge(self, wanted: Challenging | None) -> str | None:
        """Let the bundle in the challenger's slot be compared with the serving one, or end that.

        Raises:
            InsightEdgeError: it cannot be; the serving bundle is as it was.
            ValueError: there is no state directory, or the runtime is closed.
        """
        slots, contest = self._slots, self.contest
        if slots is None or contest is None:
            raise ValueError("a runtime without a state directory has no slots")
        if wanted is None and self.challenger is not self._asked_for:
            return None  # it is the application's own
        found = contest(lambda: self._challenging(slots, wanted), wanted)
        self._asked_for = self.challenger
        return found

    def _asked(self) -> str | None:
        """Return the digest of what challenges because the agent asked for it."""
        one = self._asked_for
        return None if one is None or self.challenger is not one else one.served.bundle

    def _challenging(self, slots: "Slots", wanted: Challenging | None) -> Bundle:
        bundle = slots.challenger.bundle(allow_unsigned=self._allow_unsigned)
        if wanted is None or bundle.digest != wanted.bundle:
            raise SlotError(f"the challenger's slot holds {bundle.digest[:19]}")
        return bundle

    def health(self) -> Health:
        """Return how the open window is going."""
        serving = self._succession.serving
        window, counts, p99_ns = serving.health() if serving else (0, Counts(), None)
        return Health(
            window=window,
            serving=None if serving is None else serving.digest,
            asked=counts.asked,
            answered=counts.answered,
            failed=counts.failed,
            p99_ms=None if p99_ns is None else p99_ns / 1e6,
            rss_bytes=resident_bytes(os.getpid()) + (serving.engine_bytes() if serving else 0),
            challenger=self._asked(),
        )

    def oldest_report(self) -> Report | None:
        """Return the oldest closed window's report; where there is none, close the open one.

        None where nothing was asked since the last. It stays until it is confirmed.
        """
        with self._taking:
            report = self._boot.shelf.oldest()
            if report is None:
                for one in (self._succession.serving, self.challenger):
                    if one is not None:
                        one.close_window()
                report = self._boot.shelf.oldest()
            return report

    def confirm_report(self, report: Report) -> None:
        """Forget a report that somebody else is now responsible for."""
        self._boot.shelf.confirm(report)

    def oldest_predictions(self, limit: int) -> tuple[PredictionRow, ...]:
        """Return up to `limit` sampled predictions, which stay until they are confirmed."""
        return self._boot.predictions.oldest(limit)

    def confirm_predictions(self, rows: tuple[PredictionRow, ...]) -> None:
        """Forget sampled predictions that somebody else is now responsible for."""
        self._boot.predictions.confirm(rows)

    def oldest_outcomes(self, limit: int) -> tuple[OutcomeRow, ...]:
        """Return up to `limit` outcomes, which stay until they are confirmed."""
        return self._boot.outcomes.oldest(limit)

    def dropped_outcomes(self) -> tuple[int, int]:
        """Return the number of this boot, and how many outcomes had no room in it."""
        return self._boot.number, self._boot.outcomes.dropped

    def confirm_outcomes(self, rows: tuple[OutcomeRow, ...]) -> None:
        """Forget outcomes that somebody else is now responsible for."""
        self._boot.outcomes.confirm(rows)

    def all_taken(self) -> bool:
        """Return whether somebody else is responsible for all that was counted."""
        boot = self._boot
        return boot.shelf.oldest() is None and boot.predictions.empty and boot.outcomes.empty

    def retire(self) -> None:
        """Free old bundles whose last callers have left since their swap gave up waiting."""
        self._succession.retire()
