# SPDX-License-Identifier: Apache-2.0
"""Which option to take: the best that keeps to every demand, and how surely it is the best.

Best is what costs least (or is fastest, or draws least); what is equal there is decided by
latency. An option counts as one that keeps to the demands where that is more likely than not.
The confidence is the chance that the winner does, and that no better option that was
turned away does after all. Below `SURE_ENOUGH` the answer is that nobody can tell.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot, inf, log, prod
from statistics import NormalDist
from typing import Literal

from insight_edge.selection.demands import Judged, spread
from insight_edge.selection.option import Demand, Fleet, Option
from insight_edge.selection.weighing import By, Weighed, is_predicted, key_of, value_of, weigh

Verdict = Literal["chosen", "cannot tell", "none"]

SURE_ENOUGH = 0.7
WORTH_IT = 0.05
"""By how much less a device must cost for a weaker demand to be worth a line."""


@dataclass(frozen=True, kw_only=True)
class Relaxed:
    """What a weaker demand buys, or how far the nearest miss is.

    Attributes:
        gain: share by which that is better than the winner; None where there is no winner.
    """

    judged: Judged
    weighed: Weighed
    gain: float | None


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The answer.

    Attributes:
        by: what was compared; latency where no price is known.
        verdict: `cannot tell` names its likeliest winner all the same.
        margin: share by which the next is worse; None where there is none.
        confidence: 0 to 1.
        relaxed: for each demand the smallest step that buys something better.
    """

    by: By
    verdict: Verdict
    weighed: tuple[Weighed, ...]
    winner: Weighed | None = None
    runner_up: Weighed | None = None
    margin: float | None = None
    confidence: float = 0.0
    relaxed: tuple[Relaxed, ...] = ()


def choose(
    options: Sequence[Option], demand: Demand, fleet: Fleet | None = None, by: By = "cost"
) -> Choice:
    """Return the choice among options; without a winner, the nearest miss of each demand."""
    weighed = weigh(options, demand, fleet or Fleet())
    kept = [one for one in weighed if one.kept and one.option.latency is not None]
    if by != "latency" and not any(value_of(one, by) is not None for one in kept):
        by = "latency" if kept else by
    ranked = sorted(
        (one for one in kept if value_of(one, by) is not None and is_predicted(one)),
        key=lambda one: key_of(one, by),
    )
    if not ranked:
        return Choice(by=by, verdict="none", weighed=weighed, relaxed=_misses(weighed))
    winner = ranked[0]
    others = [one for one in ranked[1:] if one.option.profile.id != winner.option.profile.id]
    runner_up = others[0] if others else None
    confidence = _confidence(winner, runner_up, weighed, by)
    return Choice(
        by=by,
        verdict="chosen" if confidence >= SURE_ENOUGH else "cannot tell",
        weighed=weighed,
        winner=winner,
        runner_up=runner_up,
        margin=_margin(winner, runner_up, by),
        confidence=confidence,
        relaxed=_bargains(winner, weighed, by),
    )


def best_first(choice: Choice) -> list[Weighed]:
    """Return what was weighed, the winner first, then what keeps to the demands, the cheapest."""
    return sorted(
        choice.weighed,
        key=lambda one: (
            one is not choice.winner,
            not one.kept,
            one.cost_usd is None,
            one.cost_usd or 0.0,
            inf if one.response_ms is None else one.response_ms,
        ),
    )


def _confidence(
    winner: Weighed, runner_up: Weighed | None, weighed: Sequence[Weighed], by: By
) -> float:
    better = key_of(winner, by)[0]
    turned_away = [
        one.chance
        for one in weighed
        if not one.kept
        and one.option.profile.id != winner.option.profile.id
        and key_of(one, by)[0] < better
    ]
    chance = winner.chance * prod(1 - other for other in turned_away)
    if by == "latency" and runner_up is not None:
        chance *= _faster(winner, runner_up)
    return chance


def _faster(one: Weighed, other: Weighed) -> float:
    """Return the chance that one is faster, or within 5 % of the other."""
    first, second = one.option.latency, other.option.latency
    if first is None or second is None or one.response_ms is None or other.response_ms is None:
        return 0.0
    apart = log(other.response_ms * (1 + WORTH_IT) / one.response_ms)
    return NormalDist().cdf(apart / hypot(spread(first), spread(second)))


def _margin(winner: Weighed, runner_up: Weighed | None, by: By) -> float | None:
    if runner_up is None:
        return None
    own, other = key_of(winner, by)[0], key_of(runner_up, by)[0]
    return (other - own) / own if own > 0 else None


def _bargains(winner: Weighed, weighed: Sequence[Weighed], by: By) -> tuple[Relaxed, ...]:
    """Return for each demand what breaks it alone by the least and is worth it."""
    own, found = key_of(winner, by)[0], dict[str, list[Relaxed]]()
    for one in weighed:
        broken = [judged for judged in one.judged if not judged.kept]
        value = value_of(one, by)
        if len(broken) != 1 or value is None or not is_predicted(one) or own <= 0:
            continue
        gain = (own - value) / own
        if gain >= WORTH_IT and broken[0].excess < inf:
            found.setdefault(broken[0].name, []).append(
                Relaxed(judged=broken[0], weighed=one, gain=gain)
            )
    return tuple(min(each, key=lambda r: r.judged.excess) for each in found.values())


def _misses(weighed: Sequence[Weighed]) -> tuple[Relaxed, ...]:
    """Return for each demand what breaks the fewest and it by the least, bounds last."""
    found: dict[str, list[tuple[bool, int, float, Relaxed]]] = {}
    for one in weighed:
        broken = [judged for judged in one.judged if not judged.kept]
        for judged in broken:
            near = Relaxed(judged=judged, weighed=one, gain=None)
            told = (not is_predicted(one), len(broken), judged.excess, near)
            found.setdefault(judged.name, []).append(told)
    return tuple(min(each, key=lambda told: told[:3])[3] for each in found.values())
