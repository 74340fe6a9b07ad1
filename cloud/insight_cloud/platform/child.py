# SPDX-License-Identifier: Apache-2.0
"""A child process of `insight-cloud up`: it is set up, and ended, over its standard input.

The first line is the setup as JSON, so that no secret is on a command line. When
standard input ends, whoever started the process is gone, and so is the process.
"""

import os
import signal
import sys
import threading
from typing import TypeVar

import msgspec

T = TypeVar("T")


def setup_from_stdin(kind: type[T]) -> T:
    """Return the setup, and let the process get SIGTERM when standard input ends.

    Raises:
        msgspec.MsgspecError: the first line is none.
    """
    setup = msgspec.json.decode(sys.stdin.buffer.readline(), type=kind)
    threading.Thread(target=_end_with_stdin, name="standard input", daemon=True).start()
    return setup


def _end_with_stdin() -> None:
    while os.read(sys.stdin.fileno(), 4096):  # a buffer would be locked when the process ends
        pass
    os.kill(os.getpid(), signal.SIGTERM)
