# SPDX-License-Identifier: Apache-2.0
"""The bounds of a child process, set before it loads a toolchain; and what a full disk looks like.

Memory and time are watched by the parent (`compile.toolchains.processes`).
"""

import errno
import resource
from pathlib import Path

DISK_FULL_EXIT_CODE = 74
"""EX_IOERR of sysexits.h: the child failed for lack of space, not for its own fault."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def bound(file_bytes: int) -> None:
    """Bound files, write no core, and be what the kernel kills first when memory runs out."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    Path("/proc/self/oom_score_adj").write_text("1000")


def is_full(error: BaseException | None) -> bool:
    """Return whether a full disk is anywhere in the chain of causes."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return True
        error = error.__cause__ or error.__context__
    return False
