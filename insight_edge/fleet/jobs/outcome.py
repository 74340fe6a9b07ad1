# SPDX-License-Identifier: Apache-2.0
"""What a runner tells of a job while it is under way, and what came of it."""

from typing import NamedTuple

from insight_edge.documents.result import BenchResult
from insight_edge.fleet.jobs.rules import Over


class Done(NamedTuple):
    """A job that came to results."""

    results: tuple[BenchResult, ...]
    left_out: dict[str, str]


class Again(NamedTuple):
    """A job that could not be done now, and may be later."""

    reason: str


class Broken(NamedTuple):
    """A job that was broken off."""


Outcome = Done | Over | Again | Broken


class Ended(NamedTuple):
    """What came of a job."""

    name: str
    outcome: Outcome


class Measuring(NamedTuple):
    """The bundle of a job is here and is timed now."""

    name: str
