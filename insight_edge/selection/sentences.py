# SPDX-License-Identifier: Apache-2.0
"""What a choice says in words: the winner, what a demand costs, how near a miss is."""

from insight_edge.selection.choice import Choice, Relaxed
from insight_edge.selection.demands import Judged
from insight_edge.selection.option import Demand, Fleet
from insight_edge.selection.weighing import By, Weighed, is_predicted, value_of

MEDIAN = 50.0

BY = {"cost": "cost", "latency": "latency", "power": "power"}


def answer(choice: Choice) -> str:
    """Return the choice in one sentence or two."""
    winner, next_ = choice.winner, choice.runner_up
    if winner is None:
        return "No device keeps to the demands."
    sure = f"confidence {choice.confidence:.0%}"
    if choice.verdict == "cannot tell":
        said = f"Cannot tell: likeliest is {winner.option.name} ({sure}); measure it to be sure."
    else:
        said = f"{winner.option.name} for {winner.option.model}, by {BY[choice.by]} ({sure})."
    if next_ is not None and choice.margin is not None:
        said += f" Next is {next_.option.name}, {choice.margin:.0%} more."
    return said


def caveats(choice: Choice, demand: Demand) -> list[str]:
    """Return what the winner was not held to, and who was not compared with it; one line each."""
    winner = choice.winner
    if winner is None or winner.option.latency is None:
        return []
    told, tail = [], winner.option.latency.tail or {}
    if demand.percentile != MEDIAN and demand.percentile not in tail:
        told.append(
            f"p{demand.percentile:g} of {winner.option.name} was not measured: "
            "its median stands for it, with what rows wait."
        )
    apart = {
        one.option.profile.id: unknown
        for one in choice.weighed
        if one.kept and is_predicted(one) and value_of(one, choice.by) is None
        if (unknown := _unknown(one, choice.by))
    }
    if apart:
        names = ", ".join(f"{name} ({unknown})" for name, unknown in apart.items())
        told.append(f"Kept to the demands, but not compared by {BY[choice.by]}: {names}.")
    return told


def cost_told(one: Weighed) -> str:
    """Return the cost of the fleet in USD as text, or what is not known of it."""
    return _unknown(one, "cost") if one.cost_usd is None else f"{one.cost_usd:,.0f}"


def _unknown(one: Weighed, by: By) -> str:
    return "price unknown" if by == "cost" and one.option.price_usd is None else "power unknown"


def bargain(one: Relaxed) -> str:
    """Return what a weaker demand buys: `2 ms more of latency buys ... at 50 % less`."""
    gain = f"at {one.gain:.0%} less" if one.gain is not None else ""
    if one.judged.words is not None:
        own, asked = one.judged.words
        return f"{own} in place of {asked} buys {one.weighed.option.name} {gain}".strip()
    more = (one.judged.value or 0.0) - one.judged.limit
    unit, name = one.judged.unit, one.judged.name
    return f"{more:.3g} {unit} more of {name} buys {one.weighed.option.name} {gain}".strip()


def miss(one: Relaxed) -> str:
    """Return how far the nearest option is from a demand."""
    judged, name = one.judged, one.weighed.option.name
    if not judged.is_known or judged.value is None:
        if judged.words is not None and judged.is_known:
            return f"{judged.name}: {name} is {judged.words[0]}, asked is {judged.words[1]}"
        return f"{judged.name}: not known, of {name} for one"
    latency = one.weighed.option.latency
    least = "at least " if latency is not None and latency.kind == "bound" else ""
    if judged.name != "latency":
        least = ""
    if judged.value == float("inf"):
        return f"{judged.name}: rows come faster than {name} answers them"
    if judged.value <= judged.limit:
        return f"{judged.name}: whether {name} keeps to {limit_told(judged)} is not known"
    return f"{judged.name}: {name} has {least}{judged.value:.3g}, the limit is {limit_told(judged)}"


def limit_told(judged: Judged) -> str:
    """Return a limit with its unit."""
    if judged.limit == float("inf"):
        return "a rate that it can follow"
    return f"{judged.limit:.4g} {judged.unit}"


def demand_told(demand: Demand) -> str:
    """Return what is demanded, in words."""
    told = [
        (demand.max_latency_ms, f"p{demand.percentile:g} ≤ {{:g}} ms"),
        (demand.rate_per_s, "{:g} rows a second"),
        (demand.max_drop_pp, "drop ≤ {:g} pp"),
        (
            None if demand.max_memory_bytes is None else demand.max_memory_bytes / 2**20,
            "memory ≤ {:g} MiB",
        ),
        (demand.max_power_w, "power ≤ {:g} W"),
        (demand.max_price_usd, "price ≤ {:g} USD"),
        (" or ".join(demand.form_factors) or None, "form factor {}"),
    ]
    return ", ".join(text.format(value) for value, text in told if value is not None) or "none"


def fleet_told(fleet: Fleet) -> str:
    """Return what the cost is of, in words."""
    energy = "energy not counted"
    if fleet.usd_per_kwh is not None:
        energy = f"energy at {fleet.usd_per_kwh:g} USD/kWh and the most that they draw"
    many = f"{fleet.devices} devices" if fleet.devices > 1 else "1 device"
    return f"{many}, {fleet.years:g} years, {energy}"


def standing(one: Weighed) -> str:
    """Return how an option stands to the demands: kept, or what breaks it."""
    broken = [_broken(judged) for judged in one.judged if not judged.kept]
    if one.option.latency is None:
        return "latency not known"
    if one.option.latency.kind == "bound" and not broken:
        return "only a bound"
    if broken:
        return ", ".join(broken)
    return "keeps to all" if one.chance >= 0.95 else f"keeps to all, {one.chance:.0%} sure"


def _broken(judged: Judged) -> str:
    if not judged.is_known:
        return f"{judged.name} not known"
    return f"{judged.name} too much" if judged.words is None else f"is {judged.words[0]}"


def response_told(one: Weighed) -> str:
    """Return the response in ms as text: `≥` before a bound, `never` where rows only queue up."""
    if one.response_ms is None:
        return "-"
    if one.response_ms == float("inf"):
        return "never"
    bound = one.option.latency is not None and one.option.latency.kind == "bound"
    return f"{'≥ ' * bound}{one.response_ms:.3g}"
