# SPDX-License-Identifier: Apache-2.0
"""Energy of x86 processors: Running Average Power Limit, through the kernel's `powercap`.

A package holds its cores, its cache and an integrated GPU; memory is a domain of its own where
there is one. Linux lets root alone read the counters (CVE-2020-8694).
"""

from pathlib import Path

from insight_edge.bench.energy.source import Absent, Counter
from insight_edge.runtime.cgroup import ROOT, read_text

NAME = "RAPL"

_COUNTED = ("package", "dram")
"""`core` and `uncore` are parts of a package, `psys` holds all of them."""


def rapl(root: Path = ROOT) -> Counter | Absent:
    """Return the counter of all packages and their memory."""
    place = root / "sys/class/powercap"
    domains = [one for one in sorted(place.glob("intel-rapl:*")) if _counted(one)]
    if not domains:
        return Absent(NAME, "no domain in /sys/class/powercap")
    if any(_microjoules(one, "energy_uj") is None for one in domains):
        return Absent(NAME, "its counters may be read by root alone")
    counters = [_counter(one) for one in domains]
    names = ", ".join(counter.name for counter in counters)
    return Counter(f"{NAME} ({names})", lambda: sum(one.joules(0.0) for one in counters))


def _counted(domain: Path) -> bool:
    return (read_text(domain / "name") or "").startswith(_COUNTED)


def _counter(domain: Path) -> Counter:
    name = read_text(domain / "name") or domain.name
    full = _microjoules(domain, "max_energy_range_uj")
    return Counter(
        name,
        lambda: (_microjoules(domain, "energy_uj") or 0) / 1e6,
        None if full is None else full / 1e6,
    )


def _microjoules(domain: Path, name: str) -> int | None:
    text = read_text(domain / name) or ""
    return int(text) if text.isdigit() else None
