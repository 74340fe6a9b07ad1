# SPDX-License-Identifier: Apache-2.0
"""When windows make an alarm, and when one is over. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from insight_edge.errors import ConfigurationError
from insight_edge.stats.assess import Verdict
from insight_edge.stats.interval import wilson
from insight_edge.stats.threshold import LARGEST_BUDGET, LEAST_BUDGET, WINDOWS

MAX_VOTES = 20
"""Windows that a policy may look back on."""

MAX_WINDOW_ROWS = 1_000_000

JUDGED = (Verdict.STEADY, Verdict.DRIFTED)
"""Verdicts that have a vote; a window that could not be judged says nothing."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """When the windows of a model's bundles make an alarm.

    Attributes:
        budget: share of windows like the reference that may be judged drifted.
        window_rows: a window of fewer rows is not judged.
        votes: drifted windows that open an alarm, …
        windows: … among so many judged ones.
        steady: judged windows in a row that close it.
    """

    budget: float = 0.01
    window_rows: int = 100
    votes: int = 2
    windows: int = 3
    steady: int = 3


class Change(StrEnum):
    """What a window does to the alarm of its bundle."""

    OPEN = "open"
    CLOSE = "close"


def check_policy(policy: Policy) -> None:
    """Refuse a policy that cannot be meant.

    Raises:
        ConfigurationError: with the bounds.
    """
    if not LEAST_BUDGET <= policy.budget <= LARGEST_BUDGET:
        raise ConfigurationError(f"a budget is {LEAST_BUDGET} to {LARGEST_BUDGET} of the windows")
    if not WINDOWS[0] <= policy.window_rows <= MAX_WINDOW_ROWS:
        raise ConfigurationError(f"a window has {WINDOWS[0]} to {MAX_WINDOW_ROWS} rows")
    if not 1 <= policy.votes <= policy.windows <= MAX_VOTES:
        raise ConfigurationError(f"votes are 1 to the windows, and these at most {MAX_VOTES}")
    if not 1 <= policy.steady <= MAX_VOTES:
        raise ConfigurationError(f"1 to {MAX_VOTES} steady windows close an alarm")


def change(verdicts: Sequence[Verdict], policy: Policy, *, is_open: bool) -> Change | None:
    """Return what the newest window does to the alarm of its bundle.

    Args:
        verdicts: of the judged windows since the alarm was opened, or since the last one was
            closed; the newest last.
        policy: of the model.
        is_open: there is an alarm.
    """
    if is_open:
        last = verdicts[-policy.steady :]
        calm = len(last) == policy.steady and set(last) == {Verdict.STEADY}
        return Change.CLOSE if calm else None
    last = verdicts[-policy.windows :]
    votes = sum(verdict is Verdict.DRIFTED for verdict in last)
    # A steady window never opens one, even where the policy has just become stricter.
    drifting = bool(last) and last[-1] is Verdict.DRIFTED and votes >= policy.votes
    return Change.OPEN if drifting else None


def accuracy_text(judged: int, correct: int, evaluated: float | None, since: str) -> str:
    """Return how right answers were as far as it is known; nothing where no outcome came."""
    if not judged:
        return ""
    low, high = wilson(correct, judged)
    text = (
        f"accuracy on {judged} outcome{'s' * (judged > 1)} since {since} "
        f"{100 * correct / judged:.0f} % [{100 * low:.0f}, {100 * high:.0f}]"
    )
    return text if evaluated is None else f"{text}, was {100 * evaluated:.1f} % at evaluation"
