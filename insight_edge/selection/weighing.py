# SPDX-License-Identifier: Apache-2.0
"""An option against the demands: how it stands, what it costs, whether it is on the front."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, prod
from typing import Literal

from insight_edge.selection.demands import Judged, judge, response_of
from insight_edge.selection.option import Demand, Fleet, Option, cost_usd
from insight_edge.selection.pareto import front

By = Literal["cost", "latency", "power"]


@dataclass(frozen=True, kw_only=True)
class Weighed:
    """An option with everything that the choice looks at.

    Attributes:
        response_ms: the percentile that was asked for, waiting included.
        cost_usd: of the fleet.
        chance: that it keeps to every demand.
        undominated: nothing else is better in latency, cost, power and drop at once.
    """

    option: Option
    judged: tuple[Judged, ...]
    response_ms: float | None
    cost_usd: float | None
    chance: float
    undominated: bool = False

    @property
    def kept(self) -> bool:
        """Whether every demand is more likely kept than not."""
        return all(one.kept for one in self.judged) and self.response_ms is not None


def weigh(options: Sequence[Option], demand: Demand, fleet: Fleet) -> tuple[Weighed, ...]:
    """Return each option with all that a choice looks at, in order."""
    return _with_front([_weigh(option, demand, fleet) for option in options])


def _weigh(option: Option, demand: Demand, fleet: Fleet) -> Weighed:
    judged = judge(option, demand)
    return Weighed(
        option=option,
        judged=judged,
        response_ms=response_of(option, demand),
        cost_usd=cost_usd(option, fleet),
        chance=prod(one.chance for one in judged),
    )


def _with_front(weighed: Sequence[Weighed]) -> tuple[Weighed, ...]:
    asked = [one for one in weighed if is_predicted(one)]
    points = [(o.response_ms, o.cost_usd, o.option.power_w, o.option.drop_pp) for o in asked]
    best = {id(asked[index]) for index in front(points)}
    return tuple(replace(one, undominated=id(one) in best) for one in weighed)


def is_predicted(one: Weighed) -> bool:
    """Return whether its latency is measured or predicted, and no mere bound."""
    return one.option.latency is not None and one.option.latency.kind != "bound"


def value_of(one: Weighed, by: By) -> float | None:
    """Return what options are compared by; None where it is not known."""
    if by == "power":
        return one.option.power_w
    return one.cost_usd if by == "cost" else one.response_ms


def key_of(one: Weighed, by: By) -> tuple[float, float]:
    """Return what options are ordered by, the best first; infinite where it is not known."""
    value, response = value_of(one, by), one.response_ms
    return (inf if value is None else value, inf if response is None else response)
