# SPDX-License-Identifier: Apache-2.0
"""A server's process, known again by the agent after this one.

It does not end with the agent: inference goes on. `<deployment>/serve.pid` says which
process it is and when it was started, since numbers of processes come round again.
"""

import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from insight_edge.bundle.durable import replace_file

NAME: Final = "serve.pid"
MAX_BYTES: Final = 4096

_FILES: Final = (
    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
)
"""What it says, on standard error, goes where the agent's words go."""


class Process:
    """The server of a deployment, running or not.

    Args:
        place: state directory of the deployment.
    """

    def __init__(self, place: Path) -> None:
        self._path = place / NAME
        self._child: int | None = None

    def plan(self) -> str | None:
        """Return the digest of the plan that the running one was started by; None where none is."""
        found = self._running()
        return None if found is None else found[1]

    def start(self, command: Sequence[str], plan: str) -> None:
        """Start it in a session of its own.

        Raises:
            OSError: there is no such program.
            StorageError: which process it is cannot be kept; it was ended again.
        """
        pid = self._child = os.posix_spawnp(
            command[0], list(command), os.environ, file_actions=_FILES, setsid=True
        )
        try:
            replace_file(self._path, f"{pid} {_began(pid)} {plan}".encode())
        except BaseException:
            os.kill(pid, signal.SIGKILL)
            raise

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        found = self._running()
        if found is not None:
            with suppress(ProcessLookupError):
                os.kill(found[0], number)

    def _running(self) -> tuple[int, str] | None:
        self._reap()
        try:
            with self._path.open("rb") as file:
                pid, began, plan = file.read(MAX_BYTES).decode("ascii").split()
        except (FileNotFoundError, ValueError):
            return None
        return (int(pid), plan) if pid.isdigit() and _began(int(pid)) == began else None

    def _reap(self) -> None:
        """Let the kernel forget a server of this very agent that has ended."""
        if self._child is not None and os.waitpid(self._child, os.WNOHANG)[0]:
            self._child = None


def _began(pid: int) -> str:
    """Return when a process was started, in ticks since the machine was; empty where it ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
    fields = text.rpartition(")")[2].split()
    return "" if fields[0] in "ZX" else f"{boot}:{fields[19]}"
