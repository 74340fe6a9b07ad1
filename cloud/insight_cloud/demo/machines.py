# SPDX-License-Identifier: Apache-2.0
"""Which three hardware profiles this machine can stand in for: pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from insight_edge.errors import ConfigurationError

WANTED = 3


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A profile that this machine satisfies.

    Attributes:
        isa: the extensions that its compilers may use.
    """

    id: str
    cores: int
    memory_gib: float
    isa: tuple[str, ...]


def three_of(machines: Sequence[Machine]) -> tuple[Machine, ...]:
    """Return three machines, the most capable first; unlike in cores and memory where possible.

    Raises:
        ConfigurationError: there are fewer.
    """
    if len(machines) < WANTED:
        raise ConfigurationError(
            f"this machine satisfies {len(machines)} of the shipped x86 profiles, not {WANTED}",
            hint="the demo needs AVX2, two cores and 8 GiB: insight-edge profiles list",
        )
    ordered = sorted(machines, key=lambda m: (-len(m.isa), -m.cores, -m.memory_gib, m.id))
    by_size: dict[tuple[int, float], Machine] = {}
    for machine in ordered:
        by_size.setdefault(_size(machine), machine)
    unlike = tuple(by_size.values())
    rest = (machine for machine in ordered if machine not in unlike)
    return (*unlike, *rest)[:WANTED]


def _size(machine: Machine) -> tuple[int, float]:
    return machine.cores, machine.memory_gib
