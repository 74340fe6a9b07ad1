# SPDX-License-Identifier: Apache-2.0
"""The gates of a wave: what is sure enough to stop a rollout, in one line each. Pure.

Shares are compared by one-sided bounds that allow for chance on both sides, at a
confidence that allows for looking every second. A gate that cannot tell is open:
how much evidence there must be is asked elsewhere (`rules`).
"""

from statistics import NormalDist

from insight_cloud.rollouts.evidence import Calls, Group, Turnout
from insight_cloud.rollouts.plan import Plan
from insight_edge.stats.interval import wilson

CONFIDENCE = 0.999
"""One-sided. Chance gets a try at every look, about one independent one each doubling of calls."""

LEAST_JUDGED = 20
"""Calls before their failures are judged, as in a device's own probation."""

LEAST_BASELINE = 100
"""Calls with the old bundle below which nothing is known of it."""

LEAST_TIMED = 100
"""Calls with the new bundle before their latency is judged: one of them is 1 %."""

_TWO_SIDED = 2 * CONFIDENCE - 1
SURE = NormalDist().inv_cdf(CONFIDENCE)


def worse_by(new_bad: int, new_total: int, old_bad: int, old_total: int) -> float:
    """Return by how much the new share is above the old one at least.

    R. G. Newcombe, Statistics in Medicine 17 (1998), method 10; without an old share, above 0.

    Raises:
        ValueError: not 0 <= bad <= total on a side.
    """
    low, _ = wilson(new_bad, new_total, confidence=_TWO_SIDED)
    if not old_total or not new_total:
        return low
    _, high = wilson(old_bad, old_total, confidence=_TWO_SIDED)
    new, old = new_bad / new_total, old_bad / old_total
    return float(new - old - ((new - low) ** 2 + (high - old) ** 2) ** 0.5)


def update_breach(group: Group, plan: Plan) -> str | None:
    """Return that too many devices will not run it; each is looked at, so no chance is allowed."""
    failed = len(group.failures)
    if failed <= plan.max_failed_share * group.members:
        return None
    return (
        f"{group.name}: {failed} of {group.members} devices did not keep it "
        f"(at most {plan.max_failed_share:.0%}): {'; '.join(group.failures[:3])}"
    )


def error_breach(group: Group, plan: Plan) -> str | None:
    """Return that more calls fail than did with the old bundle, if that is sure."""
    new, old = group.new, group.old
    if new.asked < LEAST_JUDGED:
        return None
    known = old.asked >= LEAST_BASELINE
    base = (old.failed, old.asked) if known else (0, 0)
    if worse_by(new.failed, new.asked, *base) <= plan.error_margin:
        return None
    before = f"{old.failed} of {old.asked} before" if known else "too few calls before to compare"
    return (
        f"{group.name}: {new.failed} of {new.asked} calls failed, {before} "
        f"(at most {plan.error_margin:.1%} more)"
    )


def latency_breach(group: Group, plan: Plan) -> str | None:
    """Return that p99 is too long, if it is sure that over 1 % of the calls take longer."""
    new, allowed_ms = group.new, group.allowed_ms
    if allowed_ms is None or new.timed < LEAST_TIMED:
        return None
    if wilson(group.slow, new.timed, confidence=_TWO_SIDED)[0] <= 0.01:
        return None
    return (
        f"{group.name}: p99 is {_ms(new)}, {_ms(group.old)} before (at most {plan.p99_factor:g} "
        f"times that and {plan.p99_slack_ms:g} ms: {allowed_ms:.3g} ms)"
    )


def accuracy_breach(turnout: Turnout, plan: Plan) -> str | None:
    """Return that fewer results turned out right than with the old bundle, if that is sure."""
    new = (turnout.new_wrong, turnout.new_judged)
    old = (turnout.old_wrong, turnout.old_judged)
    if min(new[1], old[1]) < max(plan.least_outcomes, 1):
        return None
    if worse_by(*new, *old) <= plan.accuracy_margin:
        return None
    right, before = (1 - wrong / judged for wrong, judged in (new, old))
    return (
        f"{turnout.profile}: {right:.1%} of {new[1]} known results are right, {before:.1%} of "
        f"{old[1]} before (at most {plan.accuracy_margin:.1%} less)"
    )


def flagged_breach(group: Group, plan: Plan) -> str | None:
    """Return that more rows are out of the range the model was trained on, if that is sure."""
    new, old = group.new, group.old
    if new.observed < LEAST_JUDGED:
        return None
    known = old.observed >= LEAST_BASELINE
    base = (old.flagged, old.observed) if known else (0, 0)
    if worse_by(new.flagged, new.observed, *base) <= plan.flagged_margin:
        return None
    before = f"{old.flagged} of {old.observed} before" if known else "too few before to compare"
    return (
        f"{group.name}: {new.flagged} of {new.observed} rows were flagged, {before} "
        f"(at most {plan.flagged_margin:.1%} more)"
    )


def _ms(calls: Calls) -> str:
    return "unknown" if calls.p99_ms is None else f"{calls.p99_ms:.3g} ms"
