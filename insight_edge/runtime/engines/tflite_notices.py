# SPDX-License-Identifier: Apache-2.0
"""Keep LiteRT's notices off stderr, which belongs to the application.

Its kernels are announced once a process, by native code, at a level that no
setting of its Python package reaches. Everything else that is written meanwhile
arrives, a moment later.
"""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

STDERR = 2
NOTICE = b"INFO: "

_one_at_a_time = threading.Lock()


@contextmanager
def notices_dropped() -> Iterator[None]:
    """Hold back what this process writes to stderr in the block, and drop its notices."""
    with _one_at_a_time:
        if sys.stderr is not None:
            sys.stderr.flush()
        try:
            kept = os.dup(STDERR)
        except OSError:  # it is closed: nothing that is written arrives anywhere
            yield
            return
        held = os.memfd_create("stderr")
        try:
            os.dup2(held, STDERR)
            yield
        finally:
            os.dup2(kept, STDERR)
            _pass_on(held, kept)
            os.close(held)
            os.close(kept)


def _pass_on(held: int, kept: int) -> None:
    os.lseek(held, 0, os.SEEK_SET)
    with open(held, "rb", closefd=False) as lines:
        for line in lines:
            if not line.startswith(NOTICE):
                os.write(kept, line)
