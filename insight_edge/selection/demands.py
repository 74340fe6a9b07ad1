# SPDX-License-Identifier: Apache-2.0
"""Whether an option keeps to what is demanded, how surely, and by how much it does not."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf, log
from statistics import NormalDist

from insight_edge.documents.profile import FormFactor
from insight_edge.selection.latency import Latency
from insight_edge.selection.option import Demand, Option
from insight_edge.selection.queueing import response_ms

SURE = {"measured": NormalDist().inv_cdf(0.975), "predicted": NormalDist().inv_cdf(0.95)}
"""Standard deviations that half an interval is wide."""

LEAST_SPREAD = 0.005
"""Logarithm by which two runs of the same differ, whatever an interval says."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One demand against one option.

    Attributes:
        name: of the demand: `latency`, `drop`, `memory`, `power`, `price` or `form factor`.
        value: of the option; None where it is not known.
        limit: what is asked for.
        chance: that it is kept; 0 where that is not known.
        unit: of both.
        words: what it is and what is asked for, of what is no number; empty where not known.
    """

    name: str
    value: float | None
    limit: float
    chance: float
    unit: str
    words: tuple[str, str] | None = None

    @property
    def is_known(self) -> bool:
        """Whether the option's own figure is known."""
        return self.value is not None if self.words is None else bool(self.words[0])

    @property
    def kept(self) -> bool:
        """Whether it is more likely kept than not."""
        return self.chance >= 0.5

    @property
    def excess(self) -> float:
        """By what share of the limit it is exceeded; infinite where nothing is known.

        What is no number is exceeded once, and no more by one than by another.
        """
        if self.kept:
            return 0.0
        if self.words is not None:
            return 1.0 if self.words[0] else inf
        if self.value is None:
            return inf
        return (self.value - self.limit) / self.limit if self.limit else inf


def judge(option: Option, demand: Demand) -> tuple[Judged, ...]:
    """Return each demand against an option; that it fits into its memory is always one."""
    return tuple(_judge(option, demand))


def response_of(option: Option, demand: Demand) -> float | None:
    """Return the latency that is demanded a limit of; None where nothing is known."""
    found = option.latency
    return None if found is None else _response(found, found.p50_ms, demand)


def spread(latency: Latency) -> float:
    """Return the standard deviation of a latency's logarithm."""
    if latency.kind == "bound":
        return inf
    width = log(latency.high_ms / latency.low_ms) / (2 * SURE[latency.kind])
    return max(width, LEAST_SPREAD)


def _judge(option: Option, demand: Demand) -> Iterator[Judged]:
    room = option.profile.dram.length_bytes.value
    if option.profile.limits.memory_bytes is not None:
        room = min(room, option.profile.limits.memory_bytes)
    limit = room if demand.max_memory_bytes is None else min(room, demand.max_memory_bytes)
    chance = float(option.fits == "yes" and (option.memory_bytes or 0) <= limit)
    if option.fits == "unknown" and demand.max_memory_bytes is None:
        chance = 1.0  # nobody asked, and nothing says that it does not
    yield _plain("memory", option.memory_bytes, limit, "MiB", chance=chance, scale=2.0**20)
    if demand.max_latency_ms is not None or demand.rate_per_s is not None:
        yield _latency(option, demand)
    for name, value, most, unit in (
        ("drop", option.drop_pp, demand.max_drop_pp, "pp"),
        ("power", option.power_w, demand.max_power_w, "W"),
        ("price", option.price_usd, demand.max_price_usd, "USD"),
    ):
        if most is not None:
            yield _plain(name, value, most, unit)
    if demand.form_factors:
        yield _form_factor(option.form_factor, demand.form_factors)


def _plain(
    name: str,
    value: float | None,
    limit: float,
    unit: str,
    *,
    chance: float | None = None,
    scale: float = 1.0,
) -> Judged:
    kept = float(value is not None and value <= limit) if chance is None else chance
    said = None if value is None else value / scale
    return Judged(name=name, value=said, limit=limit / scale, chance=kept, unit=unit)


def _form_factor(form: FormFactor | None, asked: Sequence[FormFactor]) -> Judged:
    return Judged(
        name="form factor",
        value=None,
        limit=0.0,
        chance=float(form in asked),
        unit="",
        words=(form or "", " or ".join(asked)),
    )


def _latency(option: Option, demand: Demand) -> Judged:
    limit = inf if demand.max_latency_ms is None else demand.max_latency_ms
    found = option.latency
    value = response_of(option, demand)
    chance = 0.0
    if found is not None and found.kind != "bound" and value is not None:
        longest = _longest_service_ms(found, demand, limit)
        chance = NormalDist().cdf(log(longest / found.p50_ms) / spread(found)) if longest else 0.0
    return Judged(name="latency", value=value, limit=limit, chance=chance, unit="ms")


def _longest_service_ms(latency: Latency, demand: Demand, limit: float) -> float:
    """Return the longest service that still keeps to the limit, by halving; 0 for none."""
    low, high = 0.0, latency.p50_ms * 1e4
    if _response(latency, high, demand) <= limit < inf:
        return high
    for _ in range(60):
        middle = (low + high) / 2
        kept = _response(latency, middle, demand)
        low, high = (middle, high) if kept <= limit and kept < inf else (low, middle)
    return low


def _response(latency: Latency, service_ms: float, demand: Demand) -> float:
    slower = replace(latency, p50_ms=service_ms)
    return response_ms(slower, demand.percentile, demand.rate_per_s)
