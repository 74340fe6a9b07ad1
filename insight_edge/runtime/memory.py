# SPDX-License-Identifier: Apache-2.0
"""How much memory this process could take now: what the machine has free, and its groups allow."""

from pathlib import Path

from insight_edge.runtime.cgroup import ROOT, memory_left_bytes, read_text

KIB = 1024


def available_bytes(root: Path = ROOT) -> int:
    """Return the memory that is free or could be freed without swapping; 0 where none tells."""
    lines = (read_text(root / "proc/meminfo") or "").splitlines()
    told = [int(line.split()[1]) * KIB for line in lines if line.startswith("MemAvailable:")]
    left = memory_left_bytes(root)
    return min([*told, *([] if left is None else [left])], default=0)
