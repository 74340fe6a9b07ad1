# SPDX-License-Identifier: Apache-2.0
"""The plots of a choice, each with the numbers that it is drawn from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from math import inf
from statistics import NormalDist

from insight_edge.selection.choice import Choice
from insight_edge.selection.demands import response_of, spread
from insight_edge.selection.machine import Machine, machine_from_profile
from insight_edge.selection.option import Demand
from insight_edge.selection.plot import COLOURS, Axis, Line, plot
from insight_edge.selection.weighing import Weighed

SERIES = COLOURS
DRAWN = 300
"""Points of a series at most."""

JOINED = "not beaten in both"

Cells = Sequence[Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """One plot.

    Attributes:
        told: what is to be seen.
        svg: empty where there is nothing to draw, which `told` then says.
        head, rows: of the table under it.
    """

    title: str
    told: str
    svg: str = ""
    head: Sequence[str] = ()
    rows: Cells = ()


def shown(choice: Choice) -> list[Weighed]:
    """Return the best option of each device, the winner first, as many as can be told apart."""
    ranked = sorted(
        (one for one in choice.weighed if one.option.latency is not None),
        key=lambda one: (
            one is not choice.winner,
            not one.kept,
            not one.undominated,
            inf if one.response_ms is None else one.response_ms,
        ),
    )
    best: dict[tuple[str, str], Weighed] = {}
    for one in ranked:
        if one.option.latency is not None and one.option.latency.kind != "bound":
            best.setdefault((one.option.model, one.option.profile.id), one)
    return list(best.values())[:SERIES]


def label(one: Weighed) -> str:
    """Return what an option is called in legends and tables."""
    kind = one.option.latency.kind if one.option.latency else "not known"
    return f"{one.option.model} on {one.option.name} ({kind})"


def distribution(options: Sequence[Weighed]) -> Drawn:
    """Return the share of inferences that take no longer than a time."""
    lines, rows = [], []
    for index, one in enumerate(options):
        taken = sorted(chain.from_iterable(one.option.rounds_ms))
        measured = bool(taken)
        taken = taken or _believed(one)
        kept = _thinned(taken)
        points = [(ms, 100 * (i + 0.5) / len(kept)) for i, ms in enumerate(kept)]
        lines.append(Line(name=label(one), points=points, dashed=not measured, colour=index))
        share = [taken[min(len(taken) - 1, int(p * len(taken)))] for p in (0.05, 0.5, 0.95, 0.99)]
        rows.append([label(one), *(f"{ms:.3g}" for ms in share)])
    told = "Of measured inferences; dashed: how likely the median is no longer, where predicted."
    svg = plot(lines, Axis(name="latency, ms", log=True), Axis(name="%"), "Latency distribution")
    head = ["option", "5 % ms", "50 % ms", "95 % ms", "99 % ms"]
    return Drawn(title="Latency distribution", told=told, svg=svg, head=head, rows=rows)


def over_time(options: Sequence[Weighed]) -> Drawn:
    """Return measured latencies in the order in which they were taken."""
    lines, rows = [], []
    for index, one in enumerate(options):
        taken = list(chain.from_iterable(one.option.rounds_ms))
        if taken:
            step = max(1, len(taken) // DRAWN)
            points = [(float(i), taken[i]) for i in range(0, len(taken), step)]
            lines.append(Line(name=label(one), points=points, dots=True, colour=index))
            half = len(taken) // 2 or 1
            cells = (sorted(part)[len(part) // 2] for part in (taken[:half], taken[-half:]))
            rows.append([label(one), str(len(taken)), *(f"{ms:.3g}" for ms in cells)])
    title = "Latency over time"
    if not lines:
        return Drawn(title=title, told="Nothing was measured with its samples: give --results.")
    svg = plot(lines, Axis(name="inference"), Axis(name="latency, ms", log=True), title)
    head = ["option", "samples", "median of the first half, ms", "of the second, ms"]
    return Drawn(title=title, told="As they were taken.", svg=svg, head=head, rows=rows)


def throughput(options: Sequence[Weighed], demand: Demand) -> Drawn:
    """Return the 99th percentile of the response against the rate at which rows come."""
    lines, rows = [], []
    for index, one in enumerate(options):
        latency = one.option.latency
        if latency is None:
            continue
        shares = [0.02 * i for i in range(1, 49)]
        rates = [share * 1e3 / latency.p50_ms for share in shares]
        asked = [replace(demand, percentile=99.0, rate_per_s=rate) for rate in rates]
        times = [response_of(one.option, each) or inf for each in asked]
        points = list(zip(rates, times, strict=True))
        dashed = latency.kind != "measured"
        lines.append(Line(name=label(one), points=points, dashed=dashed, colour=index))
        cells = (f"{rates[i]:.3g}: {times[i]:.3g} ms" for i in (12, 24, 39))
        rows.append([label(one), *cells])
    told = "Rows come at random and wait for one another (M/G/1); the end of a line is all it does."
    axes = Axis(name="rows a second", log=True), Axis(name="p99 of the response, ms", log=True)
    svg = plot(lines, *axes, "Throughput against p99")
    head = ["option", "at 26 % of its rate", "at 50 %", "at 80 %"]
    return Drawn(title="Throughput against p99", told=told, svg=svg, head=head, rows=rows)


def pareto(choice: Choice, options: Sequence[Weighed]) -> Drawn:
    """Return what the fleet costs against the response, the front joined.

    Devices have the colours that they have in the other plots.
    """
    known = [o for o in choice.weighed if o.response_ms is not None and o.cost_usd is not None]
    known = [
        o
        for o in known
        if o.option.latency and o.option.latency.kind != "bound" and o.response_ms != inf
    ]
    title = "Cost against latency"
    if not known:
        return Drawn(title=title, told="Price unknown, of every device with a latency.")
    points = {id(o): (o.response_ms or 0.0, o.cost_usd or 0.0) for o in known}
    best = sorted(points[id(o)] for o in known if not _beaten(points[id(o)], points.values()))
    colours = {one.option.profile.id: index for index, one in enumerate(options)}
    lines = [Line(name=JOINED, points=best, colour=COLOURS)] if len(best) > 1 else []
    lines += [
        Line(name=name, points=[points[id(o)]], dots=True, colour=colours.get(name, COLOURS))
        for o in sorted(known, key=lambda o: o.option.profile.id)
        for name in [o.option.profile.id]
    ]
    rows = [[label(o), f"{o.response_ms:.3g}", f"{o.cost_usd:,.0f}"] for o in known]
    axes = Axis(name="response, ms", log=True), Axis(name="fleet, USD")
    told = "Joined: nothing is both faster and cheaper. Devices without a price are not here."
    head = ["option", "response ms", "fleet USD"]
    return Drawn(title=title, told=told, svg=plot(lines, *axes, title), head=head, rows=rows)


def roofline(options: Sequence[Weighed]) -> Drawn:
    """Return each device's roof, and how much of it the model gets."""
    lines, rows = [], []
    for index, one in enumerate(options):
        option, latency = one.option, one.option.latency
        machine = machine_from_profile(option.profile, option.target)
        if not isinstance(machine, Machine) or latency is None or not option.moved_bytes:
            continue
        intensity = option.flops / option.moved_bytes
        reached = option.flops / latency.p50_ms / 1e6
        peak = machine.core_ops_per_s * machine.threads / 1e9
        if machine.bandwidth_bytes_per_s is not None:
            slope = machine.bandwidth_bytes_per_s / 1e9
            knee = peak / slope
            ends = sorted({knee / 8, intensity / 8, knee, knee * 8, intensity * 8})
            roof = [(x, min(peak, x * slope)) for x in ends]
            lines.append(Line(name=label(one), points=roof, dashed=machine.derived, colour=index))
        lines.append(Line(name=label(one), points=[(intensity, reached)], dots=True, colour=index))
        rows.append([label(one), f"{intensity:.3g}", f"{reached:.3g}", f"{peak:.3g}"])
    title = "Roofline"
    if not rows:
        return Drawn(title=title, told="No device here gives a clock or peaks.")
    told = "A dot is the model; dashed roofs are worked out from the clock and the vector width."
    axes = Axis(name="operations a byte", log=True), Axis(name="G operations/s", log=True)
    head = ["option", "operations a byte", "G operations/s", "at most"]
    return Drawn(title=title, told=told, svg=plot(lines, *axes, title), head=head, rows=rows)


def _believed(one: Weighed) -> list[float]:
    latency = one.option.latency
    if latency is None:
        return []
    deviation, normal = spread(latency), NormalDist()
    shares = [(i + 0.5) / 100 for i in range(100)]
    return [latency.p50_ms * 2.718281828 ** (deviation * normal.inv_cdf(s)) for s in shares]


def _thinned(values: Sequence[float]) -> list[float]:
    if len(values) <= DRAWN:
        return list(values)
    return [values[round(i * (len(values) - 1) / (DRAWN - 1))] for i in range(DRAWN)]


def _beaten(point: tuple[float, float], others: Iterable[tuple[float, float]]) -> bool:
    return any(a <= point[0] and b <= point[1] and (a, b) != point for a, b in others)
