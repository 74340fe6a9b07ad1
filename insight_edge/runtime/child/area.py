# SPDX-License-Identifier: Apache-2.0
"""Memory that two processes share: made by one, sealed, and mapped by both.

It has no name that could be left behind, and goes with its last mapping. It is sealed because a
mapping of what was cut short ends a process.
"""

import fcntl
import mmap
import os

from insight_edge.runtime.isolation import MIB

LEAST_BYTES = 64 * 1024
MOST_BYTES = 4096 * MIB
"""Of one call; a child whose figures are damaged could ask for any."""


def make_area(needed_bytes: int) -> int:
    """Return the descriptor of an area with room for as much, and for calls that differ a little.

    Raises:
        ValueError: more than is ever shared.
        OSError: there is no memory, or no descriptor.
    """
    if needed_bytes > MOST_BYTES:
        raise ValueError(f"arrays of {needed_bytes} bytes, at most {MOST_BYTES} are shared")
    length = 1 << max(LEAST_BYTES, needed_bytes).bit_length()
    found = os.memfd_create("insight-edge", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(found, length)
        seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
        fcntl.fcntl(found, fcntl.F_ADD_SEALS, seals)
    except BaseException:
        os.close(found)
        raise
    return found


def mapped(area: int) -> mmap.mmap:
    """Return the mapping of an area; it goes with the last array in it."""
    return mmap.mmap(area, os.fstat(area).st_size)
