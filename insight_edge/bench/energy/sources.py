# SPDX-License-Identifier: Apache-2.0
"""Which sources of energy this machine has, and of each other one why it has not."""

from pathlib import Path

from insight_edge.bench.energy.hwmon import hwmon, ina3221
from insight_edge.bench.energy.nvml import nvml
from insight_edge.bench.energy.rapl import rapl
from insight_edge.bench.energy.source import Absent, Source
from insight_edge.runtime.cgroup import ROOT


def energy_sources(root: Path = ROOT) -> tuple[tuple[Source, ...], tuple[Absent, ...]]:
    """Return the sources there are, and those that were looked for in vain.

    Args:
        root: where `/sys` is looked for.
    """
    jetson = ina3221(root)
    others = (hwmon(root),) if isinstance(jetson, Absent) else ()
    looked = (rapl(root), jetson, *others, nvml())
    found = tuple(one for one in looked if not isinstance(one, Absent))
    return found, tuple(one for one in looked if isinstance(one, Absent))
