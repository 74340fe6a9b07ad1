# SPDX-License-Identifier: Apache-2.0
"""Under what conditions something was measured, and how two of them differ: pure.

What a result does not say is not compared: the rows that were asked, and the room's temperature.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import cast

from insight_edge.bench.scenarios.scenario import Name, Scenario
from insight_edge.documents.facts import Facts
from insight_edge.documents.result import BenchResult


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What two measurements have to have in common before their latencies are compared.

    Attributes:
        device: what the machine is called.
        machine: architecture, processor, cores that may be used, accelerators.
        scenario: how it was asked.
        threads: of the engine.
        processors: it was pinned to.
        power_mode, governor: that the machine was set to.
    """

    device: str
    machine: str
    scenario: str
    threads: str
    processors: str
    power_mode: str
    governor: str


def conditions(
    *,
    device: str,
    host: Facts,
    scenario: Scenario,
    threads: int,
    cpus: Sequence[int],
    power_mode: str | None,
    governor: str | None,
) -> Conditions:
    """Return the conditions of what is to be measured."""
    accelerators = "".join(f", {name}" for name in host.accelerators)
    return Conditions(
        device=device,
        machine=f"{host.cpu_model} ({host.arch}), {host.cores} cores{accelerators}",
        scenario=_told(scenario),
        threads=str(threads),
        processors=",".join(map(str, cpus)) or "any",
        power_mode=power_mode or "none",
        governor=governor or "none",
    )


def conditions_of(result: BenchResult) -> Conditions:
    """Return the conditions of what was measured."""
    found, load = result.measurement, result.measurement.load
    deadline_ms = None if load is None else load.deadline_ms
    return conditions(
        device=result.device,
        host=result.host,
        scenario=Scenario(
            name=cast("Name", found.scenario),
            rows=found.rows,
            rate_per_s=None if load is None else load.rate_per_s,
            deadline_s=None if deadline_ms is None else deadline_ms / 1e3,
        ),
        threads=found.threads,
        cpus=result.cpus,
        power_mode=found.noise.power_mode,
        governor=found.noise.governor,
    )


def differences(before: Conditions, now: Conditions) -> tuple[str, ...]:
    """Return in words each condition that differs."""
    was, is_ = asdict(before), asdict(now)
    return tuple(
        f"{key.replace('_', ' ')}: {was[key]} then, {is_[key]} now"
        for key in was
        if was[key] != is_[key]
    )


def conditions_told(found: Conditions) -> str:
    """Return conditions in words."""
    told = ((key.replace("_", " "), value) for key, value in asdict(found).items())
    return "; ".join(f"{key}: {value}" for key, value in told)


def software_of(result: BenchResult) -> dict[str, str]:
    """Return what a measurement depends on that an update may change, by name."""
    engine = result.host.engines.get(result.target.backend)
    version = engine.version if engine else result.packages.get(result.target.backend)
    return {
        "insight-edge": result.release,
        result.target.backend: version or "unknown",
        "system": result.host.os,
    }


def _told(scenario: Scenario) -> str:
    rows = f" of {scenario.rows} rows" if scenario.rows > 1 else ""
    rate = "" if scenario.rate_per_s is None else f" at {scenario.rate_per_s:g} a second"
    due = "" if scenario.deadline_s is None else f", deadline {scenario.deadline_s * 1e3:g} ms"
    return f"{scenario.name}{rows}{rate}{due}"
