# SPDX-License-Identifier: Apache-2.0
"""Keep a thread's alternate signal stack what it was while foreign code runs.

OpenVINO puts one of its own in place where a model is compiled, and the one before
back where the model is freed, which may be another thread, or later than another
model's. What is left is a stack that is no longer there, and the next signal that
Python handles, a Ctrl-C or SIGTERM, ends the process.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

_LIBC = ctypes.CDLL(None)


class _Stack(ctypes.Structure):
    """`stack_t` of sigaltstack(2)."""

    _fields_ = (("sp", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


@contextmanager
def signal_stack_kept() -> Iterator[None]:
    """Put this thread's alternate signal stack back at the end of the block."""
    before = _Stack()
    _LIBC.sigaltstack(None, ctypes.byref(before))
    try:
        yield
    finally:
        _LIBC.sigaltstack(ctypes.byref(before), None)


def signal_stack() -> int | None:
    """Return where this thread's alternate signal stack is, None where it has none."""
    found = _Stack()
    _LIBC.sigaltstack(None, ctypes.byref(found))
    address: int | None = found.sp
    return address
