# SPDX-License-Identifier: Apache-2.0
"""How far predictions are off from what others publish of real boards: a check of its own.

Nothing was learned of these boards or networks: what is asked is the datasheet and the shipped
factors, as somebody asks who has measured nothing. The figures are read from `published.toml`,
each with its source; how they were taken is the publisher's word. Shown apart: the engine that the
prediction is of, another engine on the same board, and accelerators, which have bounds alone.

Intervals of the figures resample networks. A published latency below a bound would mean that
the bound is none: that must never be. There is no other bar: six figures of one board are too few.

Expected (written before the first run): of the engine itself 35 % off with five of six within the
interval; of another engine 50 % off; none below a bound.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from msgspec.structs import replace

from benchmarks.figure import Figure, figure_from_count, figure_from_estimate
from benchmarks.prediction import workloads_of
from benchmarks.published_networks import PUBLISHED
from insight_edge.compile.profiles.reading import shipped_profiles
from insight_edge.compile.targets.preflight import roof_of
from insight_edge.documents.profile import Figure as Sourced
from insight_edge.documents.profile import HardwareProfile, Source
from insight_edge.documents.target import target_from_token
from insight_edge.documents.workload import Workload
from insight_edge.selection.footprint import LEAST_SHARE
from insight_edge.selection.latency import Latency, predict_latency
from insight_edge.selection.roofline import bound
from insight_edge.stats.interval import Estimate

NAME = "published"
FILE = Path(__file__).with_name("published.toml")
DRAWS = 1000

Of = Literal["engine", "another engine", "accelerator"]


class Told(Source, frozen=True, kw_only=True):
    """Where figures are published, and what is said there of how they were taken."""

    said: str


class Figures(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Published latencies of one board.

    Attributes:
        source: key of the sources.
        of: what was timed.
        threads: None for all cores.
        clock_hz: of the processor; the profile's for None.
        latency_ms: by network.
    """

    source: str
    of: Of
    profile: str
    target: str
    threads: int | None = None
    clock_hz: float | None = None
    latency_ms: dict[str, float]


class Published(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of them."""

    sources: dict[str, Told]
    figures: tuple[Figures, ...]


@dataclass(frozen=True, kw_only=True)
class Checked:
    """One published latency, what is foretold of it, and what it cannot be below, where known."""

    of: Of
    network: str
    published_ms: float
    foretold: Latency | None
    bound_ms: float | None

    @property
    def error(self) -> float:
        """Share by which the prediction is off."""
        return 0.0 if self.foretold is None else abs(self.foretold.p50_ms / self.published_ms - 1)

    @property
    def covered(self) -> bool:
        """Whether the interval has it."""
        found = self.foretold
        return found is not None and found.low_ms <= self.published_ms <= found.high_ms


def take(_: Path, tell: Callable[[str], None]) -> Iterator[Figure]:
    """Yield the figures."""
    tell("published: writing networks")
    checked = list(check(read(FILE), shipped_profiles()))
    for of in ("engine", "another engine"):
        own = [one for one in checked if one.of == of]
        yield from _of_predictions(of, own)
    yield _of_bounds(checked)


def read(path: Path) -> Published:
    """Return the published figures of a file.

    Raises:
        msgspec.ValidationError: it is not such a file.
    """
    return msgspec.toml.decode(path.read_bytes(), type=Published)


def check(published: Published, profiles: Mapping[str, HardwareProfile]) -> Iterator[Checked]:
    """Yield each published latency beside what is foretold of it."""
    names = {name for one in published.figures for name in one.latency_ms}
    workloads = workloads_of({name: PUBLISHED[name]() for name in sorted(names)})
    for figures in published.figures:
        profile = _as_run(profiles[figures.profile], figures)
        for name, latency_ms in figures.latency_ms.items():
            yield _checked(figures, profile, workloads[name], name, latency_ms)


def _as_run(profile: HardwareProfile, figures: Figures) -> HardwareProfile:
    """Return a profile with the threads and the clock that were published."""
    clock = profile.cpu.clock_hz
    if figures.clock_hz is not None:
        clock = Sourced(value=figures.clock_hz, source=figures.source)
    return replace(profile, threads=figures.threads, cpu=replace(profile.cpu, clock_hz=clock))


def _checked(
    figures: Figures, profile: HardwareProfile, workload: Workload, name: str, latency_ms: float
) -> Checked:
    target = target_from_token(figures.target)
    on = profile.accelerators[0] if figures.of == "accelerator" else None
    roof = roof_of(profile, target.precision, on)
    least = bound(workload.operations, roof, item_share=LEAST_SHARE[target.precision])
    found = predict_latency(workload, profile, target, {})
    return Checked(
        of=figures.of,
        network=name,
        published_ms=latency_ms,
        foretold=None if isinstance(found, str) else found,
        bound_ms=None if least is None else least.latency_ms,
    )


def _of_predictions(of: Of, own: Sequence[Checked]) -> Iterator[Figure]:
    case = f"Raspberry Pi 4, {of}"
    off = _resampled(own, lambda some: 100 * float(np.mean([one.error for one in some])))
    ratios = sorted(one.foretold.p50_ms / one.published_ms for one in own if one.foretold)
    yield figure_from_estimate(
        off, name=NAME, case=case, compared=("predicted, datasheet alone: off", "published"),
        unit="%", rounds=len(own),
        note=f"{len(own)} figures; {ratios[0]:.2f} to {ratios[-1]:.2f} times what is published",
    )  # fmt: skip
    inside = _resampled(own, lambda some: 100 * float(np.mean([one.covered for one in some])))
    count = sum(one.covered for one in own)
    yield figure_from_estimate(
        inside, name=NAME, case=case, compared=("90 % interval", "published, within it"),
        unit="%", rounds=len(own), note=f"{count} of {len(own)}",
    )  # fmt: skip


def _of_bounds(checked: Sequence[Checked]) -> Figure:
    bounded = [one for one in checked if one.bound_ms is not None]
    below = sum(one.published_ms < (one.bound_ms or 0.0) for one in bounded)
    found = figure_from_count(
        below, name=NAME, case="all boards", counted="published below the bound",
        total=len(bounded),
    )  # fmt: skip
    told = [
        f"{one.network} {one.published_ms / one.bound_ms:.1f} times its bound"
        for one in bounded
        if one.of == "accelerator" and one.bound_ms
    ]
    return replace(found, note="; ".join(told))


def _resampled(own: Sequence[Checked], statistic: Callable[[Sequence[Checked]], float]) -> Estimate:
    """Return a statistic of figures and its bootstrap interval, which resamples networks."""
    names = sorted({one.network for one in own})
    random = np.random.default_rng(0)
    drawn = [
        statistic(
            [one for name in random.choice(names, len(names)) for one in own if one.network == name]
        )
        for _ in range(DRAWS)
    ]
    low, high = np.quantile(drawn, (0.025, 0.975))
    return statistic(own), float(low), float(high)
