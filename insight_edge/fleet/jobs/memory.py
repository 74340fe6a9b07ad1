# SPDX-License-Identifier: Apache-2.0
"""How much memory a program could take now, as the kernel says."""

from pathlib import Path
from typing import Final

ROOT: Final = Path("/")


def available_bytes(most_bytes: int, root: Path = ROOT) -> int:
    """Return the memory that is free or could be freed; all of it where the kernel does not say.

    Args:
        most_bytes: that this process may use at all.
        root: of the file system.
    """
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
    except OSError:
        return most_bytes
    found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    return min([most_bytes, *found])
