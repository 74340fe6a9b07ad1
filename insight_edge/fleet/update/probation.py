# SPDX-License-Identifier: Apache-2.0
"""Is the new bundle fit to stay? Pure: counts what the host tells, and judges.

The host counts per window, and its windows are closed behind the back of a
probation; so counts are added up as differences within one window, and one that
fell is of a new one too. Time is added up too, in bounded steps: a clock that jumps by
years neither ends a probation nor makes it endless. The p99 of a window is judged again
only when the window has twice the answers, or is a new one: told every second, one
slow moment would else be held against a bundle again and again.
"""

from typing import Literal, NamedTuple

import msgspec

from insight_edge.documents.codec import Document
from insight_edge.documents.host import Health
from insight_edge.fleet.update.policy import Policy


class Probation(Document, frozen=True, kw_only=True):
    """What was seen of a new bundle since it serves.

    Attributes:
        elapsed_s: during which it served and the host was attached.
        seen_s: when that was added up last; None while the host is away.
        asked, answered, failed: calls, over all windows.
        slow: times in a row that p99 was too high, each on answers that were not judged before.
        heavy: times in a row that memory was too high.
        breach: what was too high the last time.
        judged: answers of the window when its p99 was judged last.
        last: health told last; None where the next window is a new one.
    """

    elapsed_s: float = 0.0
    seen_s: float | None = None
    asked: int = 0
    answered: int = 0
    failed: int = 0
    slow: int = 0
    heavy: int = 0
    breach: str = ""
    judged: int = 0
    last: Health | None = None


class Verdict(NamedTuple):
    """What to do, and why in one line."""

    what: Literal["wait", "commit", "restore"]
    reason: str = ""


def pass_time(seen: Probation, now_s: float, policy: Policy) -> Probation:
    """Return the probation at a later time."""
    since_s = now_s if seen.seen_s is None else seen.seen_s
    step_s = min(max(now_s - since_s, 0.0), policy.longest_step_s)
    return _with(seen, elapsed_s=seen.elapsed_s + step_s, seen_s=now_s)


def pause(seen: Probation) -> Probation:
    """Return the probation while no host is there."""
    return _with(seen, seen_s=None)


def interrupt(seen: Probation) -> Probation:
    """Return the probation while another bundle serves; the next windows are new ones."""
    return _with(seen, seen_s=None, last=None)


def add(seen: Probation, health: Health, before: Health | None, policy: Policy) -> Probation:
    """Return the probation with one more health told.

    Args:
        seen: so far.
        health: of the new bundle.
        before: of the old bundle; None where it was never told, and nothing is compared.
        policy: bounds.
    """
    old = seen.last
    if old is None or _is_new_window(old, health):
        asked, answered, failed = health.asked, health.answered, health.failed
        seen = _with(seen, judged=0)
    else:
        asked, answered = health.asked - old.asked, health.answered - old.answered
        failed = health.failed - old.failed
    added = _with(
        seen,
        asked=seen.asked + asked,
        answered=seen.answered + answered,
        failed=seen.failed + failed,
        last=health,
    )
    return added if before is None else _compare(added, health, before, policy)


def judge(seen: Probation, policy: Policy) -> Verdict:
    """Return whether to commit, to restore, or to wait."""
    if seen.asked >= policy.least_asked and seen.failed > policy.most_failed_share * seen.asked:
        return Verdict("restore", f"{seen.failed} of {seen.asked} calls failed")
    breaches = max(seen.slow, seen.heavy)
    if breaches >= policy.most_breaches:
        return Verdict("restore", seen.breach)
    if seen.last is None or breaches or seen.elapsed_s < policy.probation_s:
        return Verdict("wait")
    if seen.answered >= policy.least_answered:
        return Verdict("commit", f"{seen.answered} calls answered in {seen.elapsed_s:.0f} s")
    if seen.elapsed_s >= policy.probation_most_s:
        few = f"{seen.answered} in {seen.elapsed_s:.0f} s"
        return Verdict("commit", f"too few requests to judge: {few}")
    return Verdict("wait")


def better_baseline(known: Health | None, health: Health, policy: Policy) -> Health:
    """Return which health of the old bundle to compare with: the newest that says enough."""
    if known is not None and known.serving == health.serving:
        enough = health.answered >= policy.least_answered
        return health if enough or known.answered < policy.least_answered else known
    return health


def _is_new_window(old: Health, new: Health) -> bool:
    fell = new.asked < old.asked or new.answered < old.answered or new.failed < old.failed
    return fell or new.window != old.window


def _compare(seen: Probation, now: Health, before: Health, policy: Policy) -> Probation:
    """Return the probation with what is too high counted, where that can be told."""
    fat = now.rss_bytes > policy.memory_factor * before.rss_bytes + policy.memory_slack_bytes
    if fat:
        breach = f"resident memory {now.rss_bytes} bytes, {before.rss_bytes} before"
        seen = _with(seen, breach=breach)
    seen = _with(seen, heavy=seen.heavy + 1 if fat else 0)
    least = max(policy.least_answered, 2 * seen.judged)
    few = now.answered < least or before.answered < policy.least_answered
    if few or now.p99_ms is None or before.p99_ms is None:
        return seen
    late = now.p99_ms > policy.p99_factor * before.p99_ms + policy.p99_slack_ms
    if late:
        seen = _with(seen, breach=f"p99 {now.p99_ms:.3g} ms, {before.p99_ms:.3g} ms before")
    return _with(seen, slow=seen.slow + 1 if late else 0, judged=now.answered)


def _with(seen: Probation, **changes: object) -> Probation:
    return msgspec.structs.replace(seen, **changes)
