# SPDX-License-Identifier: Apache-2.0
"""Results of stand-ins as points: which stand-ins count as devices, and what was foretold. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.prediction_devices import StandIn
from insight_edge.documents.result import BenchResult
from insight_edge.documents.workload import Workload
from insight_edge.errors import ConfigurationError
from insight_edge.selection.costs import costs
from insight_edge.selection.learning import (
    Learned,
    Observation,
    datasheet,
    learn,
    model_folds,
)
from insight_edge.selection.machine import Machine, machine_from_profile

CLASS = "x86_64"
LEAST_APART = 1.25
"""Times that latencies of two devices differ, for the median model."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One measured time and what was foretold of it without having seen device or model."""

    seen: Observation
    learned: Learned

    @property
    def foretold(self) -> tuple[float, float, float]:
        """Seconds, with the ends of the interval."""
        return self.learned.foretell(self.seen.costs, "")

    @property
    def error(self) -> float:
        """Share by which it was off."""
        return abs(self.foretold[0] / self.seen.seconds - 1)

    @property
    def covered(self) -> bool:
        """Whether the interval has it."""
        _, low, high = self.foretold
        return low <= self.seen.seconds <= high


def least_ms(result: BenchResult) -> float:
    """Return the least block of a result: the machine was shared, and is only ever slowed."""
    return min(min(block) for block in result.samples_ms)


def observations(
    results: Sequence[BenchResult], devices: Sequence[StandIn], workloads: Mapping[str, Workload]
) -> list[Observation]:
    """Return what was measured on stand-ins, of models that are known.

    Raises:
        ConfigurationError: there is no such result.
    """
    known = {device.id: device for device in devices}
    found = [
        _observation(result, known[result.profile], workloads[result.model.name])
        for result in results
        if result.profile in known and result.model.name in workloads and result.samples_ms
    ]
    if not found:
        raise ConfigurationError("no result is of a stand-in and a network of this figure")
    return found


def told_apart(seen: Sequence[Observation], devices: Sequence[StandIn]) -> tuple[StandIn, ...]:
    """Return the stand-ins that count: each apart from all that count before it."""
    counted: list[StandIn] = []
    vectors: dict[str, NDArray[np.float64]] = {}
    for device in devices:
        own = {one.model: one.seconds for one in seen if one.device == device.id}
        vector = np.log([own[name] for name in sorted(own)])
        if len(vector) and all(
            np.median(np.abs(vector - other)) >= np.log(LEAST_APART) for other in vectors.values()
        ):
            counted.append(device)
            vectors[device.id] = vector
    return tuple(counted)


def held_out(seen: Sequence[Observation]) -> Iterator[Point]:
    """Yield each measurement with what others of other devices and models teach."""
    for models in model_folds(one.model for one in seen):
        for device in sorted({one.device for one in seen}):
            rest = [o for o in seen if o.device != device and o.model not in models]
            learned = learn(rest, CLASS)
            for one in seen:
                if one.device == device and one.model in models:
                    yield Point(seen=one, learned=learned)


def unmeasured(seen: Sequence[Observation]) -> Iterator[Point]:
    """Yield each measurement with what the datasheet says."""
    for one in seen:
        yield Point(seen=one, learned=datasheet(CLASS))


def _observation(result: BenchResult, device: StandIn, workload: Workload) -> Observation:
    machine = machine_from_profile(device.profile(), device.target)
    if not isinstance(machine, Machine):
        raise ConfigurationError(f"{device.id}: {machine}")
    return Observation(
        device=device.id,
        model=result.model.name,
        costs=costs(workload, machine),
        seconds=least_ms(result) / 1e3,
    )
