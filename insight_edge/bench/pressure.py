# SPDX-License-Identifier: Apache-2.0
"""How long programs of this machine have waited for a resource (pressure stall information)."""

from pathlib import Path
from typing import Literal

from insight_edge.runtime.cgroup import ROOT, read_text


def pressure_s(resource: Literal["cpu", "memory"], root: Path = ROOT) -> float | None:
    """Return how long some program has waited since boot; None where the kernel does not tell."""
    for line in (read_text(root / "proc/pressure" / resource) or "").splitlines():
        name, *fields = line.split()
        total = dict(each.partition("=")[::2] for each in fields).get("total", "")
        if name == "some" and total.isdigit():
            return int(total) / 1e6
    return None
