# SPDX-License-Identifier: Apache-2.0
"""A child process that runs one engine: its start, its lines, and how it ended in words.

It ends with this process, however that ends, and not with the thread that started it: swaps come
from threads that go away. A child that hangs is killed, and whoever waits for it is told why.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import msgspec

from insight_edge.bundle.lifeline import interrupts_held
from insight_edge.runtime.child import wire
from insight_edge.runtime.child.area import make_area, mapped
from insight_edge.runtime.child.line import Line
from insight_edge.runtime.isolation import MIB, Isolation
from insight_edge.runtime.resident import resident_bytes

PROGRAM = (
    "from insight_edge.bundle.priority import give_way; before = give_way();"
    "from insight_edge.runtime.child.program import main; main(before)"
)
"""Importing is most of its start, and gives way to callers already."""

END_S = 1.0
"""A child that hung up has this long to end by itself."""

QUIET = {"OPENBLAS_NUM_THREADS": "1"}
"""NumPy's own threads, which the child does not use, would count as its memory."""


class Child:
    """A running child; `hear` says whether it loaded.

    Args:
        setup: what it is to load.
        isolation: what it may take.

    Raises:
        OSError: it cannot be started.
        ValueError: the setup is longer than is ever sent.
    """

    def __init__(self, setup: wire.Setup, isolation: Isolation) -> None:
        self._isolation = isolation
        self._ending = threading.Lock()
        self._end: str | None = None
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control = ours
        with theirs:
            try:
                with interrupts_held():
                    self._process = _start(theirs, isolation.python)
            except BaseException:
                ours.close()
                raise
        ours.settimeout(isolation.load_s)
        with suppress(OSError):  # ended already: hearing it says how
            ours.send(wire.packet(setup))

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def hear(self) -> wire.Loaded | wire.Refused | None:
        """Return what became of loading; None where the child ended or hung, `end` says how."""
        try:
            packet = self._control.recv(wire.MAX_PACKET_BYTES)
            return wire.beginnings.decode(packet) if packet else None
        except TimeoutError:
            self.end(f"did not load within {self._isolation.load_s:g} s")
        except (OSError, msgspec.MsgspecError):
            self.end()
        return None

    def line(self, needed_bytes: int) -> Line:
        """Return a new line with memory for calls of so many bytes.

        Raises:
            OSError: the child has ended, or there is no memory or descriptor.
            ValueError: more than is ever shared.
        """
        area = make_area(needed_bytes)
        try:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                try:
                    socket.send_fds(self._control, [b"line"], [theirs.fileno(), area])
                    return Line(ours, mapped(area), self._isolation.call_s)
                except BaseException:
                    ours.close()
                    raise
        finally:
            os.close(area)

    def keep_cache(self) -> None:
        """Let it keep what its engine compiled, while it answers."""
        with suppress(OSError):  # it ended: who asks it next is told how
            self._control.send(wire.KEEP)

    def end(self, reason: str = "") -> str:
        """End it, wait for it, and return how it ended, in words after `its child`.

        Args:
            reason: why it must be killed; by default it gets the time to end by itself. The first
                that is given is what every caller is told.
        """
        with self._ending:
            if self._end is None:
                if not reason:
                    try:
                        self._process.wait(END_S)
                    except subprocess.TimeoutExpired:
                        reason = "hung up and was ended"
                with suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                code = self._process.wait()
                for stream in (self._control, self._process.stdin):
                    if stream is not None:
                        stream.close()
                self._end = reason or _words(code) + self.bound
            return self._end

    def resident_bytes(self) -> int:
        """Return its resident memory, 0 where it has ended."""
        return resident_bytes(self.pid)

    @property
    def bound(self) -> str:
        """What to add to words about memory: how much it may have, if that is bounded."""
        bound = self._isolation.memory_bytes
        return "" if bound is None else f" (it may have {bound / MIB:.0f} MiB of memory)"


def _start(control: socket.socket, python: Path | None) -> "subprocess.Popen[bytes]":
    """Start a child, which finds modules where this process does."""
    found = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    return subprocess.Popen(
        [str(python or sys.executable), "-P", "-c", PROGRAM, str(control.fileno())],
        env=os.environ | QUIET | {"PYTHONPATH": found},
        bufsize=0,
        stdin=subprocess.PIPE,
        pass_fds=[control.fileno()],
        start_new_session=True,
    )


def _words(code: int) -> str:
    if code >= 0:
        return f"ended, exit code {code}"
    with suppress(ValueError):
        return f"was killed by {signal.Signals(-code).name}"
    return f"was killed by signal {-code}"
