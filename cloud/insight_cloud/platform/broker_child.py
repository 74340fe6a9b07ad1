# SPDX-License-Identifier: Apache-2.0
"""The child process that is a broker, or that has one: `python -m ... PROGRAM CONFIG`.

It ends when its standard input does, so it never outlives its parent, whichever
thread of whichever process that was. iotcore runs in this process, mosquitto as a
child of it, and is told when its password file changes.

Where a thread of rumqttd panics that routes messages, the others go on: it takes
connections and answers none. Its last words are watched for, and the process ends.
"""

import ctypes
import logging
import os
import select
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

WATCH_S: Final = 0.2
PANICKED: Final = 70
"""Exit status after a panic."""

_ROUTER_PANIC: Final = b"thread 'router-"
_PR_SET_PDEATHSIG: Final = 1


def run_iotcore(config: Path) -> None:
    """Be the broker until standard input ends."""
    from iotcore import Broker

    # Its tracing says ERROR of every packet; a panic does not go through here.
    logging.getLogger("rumqttd").setLevel(logging.CRITICAL)
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    watch = threading.Thread(target=_watch_stderr, args=(_take_stderr(),), daemon=True)
    watch.start()
    try:
        Broker(config_path=str(config)).run_forever()
    finally:
        os.dup2(1, 2)  # the end of what is watched; a traceback comes after it
        watch.join()


def run_mosquitto(config: Path) -> int:
    """Have mosquitto until standard input ends, and return its exit status."""
    passwords = config.with_name("passwords")
    seen = _changed(passwords)
    with subprocess.Popen(
        ["mosquitto", "-c", str(config)],
        preexec_fn=_die_with_parent,  # noqa: PLW1509 (this process has one thread)
    ) as broker:
        while broker.poll() is None:
            if select.select([0], [], [], WATCH_S)[0] and not os.read(0, 4096):
                broker.terminate()  # it writes its database first
                break
            if seen != (seen := _changed(passwords)):
                broker.send_signal(signal.SIGHUP)
        return broker.wait()


def _changed(path: Path) -> tuple[int, int]:
    with suppress(OSError):
        found = path.stat()
        return found.st_ino, found.st_mtime_ns
    return 0, 0


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _end_with_stdin() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


def _take_stderr() -> int:
    """Return a descriptor to read what is written to stderr, by whatever language."""
    heard, said = os.pipe()
    os.dup2(said, 2)
    os.close(said)
    return heard


def _watch_stderr(heard: int) -> None:
    """Pass on to standard output what is said, and end the process after a router's panic."""
    with os.fdopen(heard, "rb") as lines:
        for line in lines:
            os.write(1, line)
            if line.startswith(_ROUTER_PANIC):
                os._exit(PANICKED)


if __name__ == "__main__":
    program, config_path = sys.argv[1:]
    if program == "mosquitto":
        sys.exit(run_mosquitto(Path(config_path)))
    run_iotcore(Path(config_path))
