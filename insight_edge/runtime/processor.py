# SPDX-License-Identifier: Apache-2.0
"""Read what the processor of this machine can do, and how much of it is ours.

Engines are started with this many threads and artifacts are refused for these
extensions. It reads `/proc` and the control groups; it measures nothing.
"""

import os
import platform
from pathlib import Path

from insight_edge.runtime.cgroup import ROOT, cpu_quota, read_text

_OF_X86 = ("vendor_id", "cpu family", "model", "model name", "stepping")
_OF_ARM = tuple(
    f"CPU {key}" for key in ("implementer", "architecture", "variant", "part", "revision")
)
_NAMING = frozenset((*_OF_X86, *_OF_ARM))


def usable_threads(root: Path = ROOT) -> int:
    """Return how many threads can run at once here: affinity, bounded by the CPU quota.

    A fraction of a processor is rounded down: a thread that the quota stops in the
    middle of an inference costs more than it brings.
    """
    allowed = len(os.sched_getaffinity(0))
    quota = cpu_quota(root)
    return allowed if quota is None else max(1, min(allowed, int(quota)))


def isa_extensions(root: Path = ROOT) -> tuple[str, ...]:
    """Return the CPU extensions as Linux names them (`avx2`, `asimddp`), in its order.

    On a machine with unlike cores only what every core has is returned.
    """
    cores = [value.split() for key, value in cpuinfo_fields(root) if key in {"flags", "Features"}]
    if not cores:
        return ()
    shared = set(cores[0]).intersection(*cores)
    return tuple(dict.fromkeys(name for name in cores[0] if name in shared))


def processor_name(root: Path = ROOT) -> str:
    """Return what tells this processor from others, in one line: what code made for it is for."""
    named = {f"{key}: {value}" for key, value in cpuinfo_fields(root) if key in _NAMING}
    return "; ".join([platform.machine(), *sorted(named), *sorted(isa_extensions(root))])


def cpuinfo_fields(root: Path = ROOT) -> list[tuple[str, str]]:
    """Return the `key: value` lines of `/proc/cpuinfo` of all processors, in order."""
    lines = (read_text(root / "proc/cpuinfo") or "").splitlines()
    pairs = (line.partition(":") for line in lines)
    return [(key.strip(), value.strip()) for key, colon, value in pairs if colon]
