# SPDX-License-Identifier: Apache-2.0
"""A subject: a variant of a bundle, loaded in a child process to be asked and timed.

The interpreter is the caller's choice: evidence for a device is taken in the
device's environment. A child that dies, hangs or talks nonsense becomes one
error with its last words; nothing of it is left alive.
"""

import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from insight_edge import errors
from insight_edge.bench import exchange
from insight_edge.bench.interpreter import Interpreter, of_this_machine
from insight_edge.bundle.lifeline import interrupts_held
from insight_edge.bundle.npz import arrays_from_npz, npz_from_arrays
from insight_edge.errors import (
    ConfigurationError,
    DocumentError,
    InsightEdgeError,
    MeasurementError,
    StorageError,
)

TIMEOUT_S = 300.0
END_S = 5.0
"""A child that closed its standard output has this long to end."""

LAST_WORDS_BYTES = 2000

AS_USUAL = exchange.Preparation()
"""One row a query, and a brief warm-up."""

Arrays = dict[str, NDArray[Any]]
R = TypeVar("R", bound=exchange.Reply)


class SubjectProcess:
    """A running subject; a context manager that leaves no process behind.

    It ends with the thread that started it, if nothing ends it before.

    Args:
        bundle: directory of the bundle.
        variant: its name; the winner for None.
        threads: of the engine.
        python: of the environment to run in; one that an emulator runs answers, but has no blocks.
        cpus: processors it is pinned to; none means all.
        inputs: rows as callers pass them, asked one after the other; the golden inputs for None.
        preparation: for being timed.
        timeout_s: for any one reply.

    Attributes:
        loaded: how it was loaded.
        timeout_s: for any one reply.

    Raises:
        InsightEdgeError: the bundle, the inputs or the engine were refused; the class and the
            message are those that the device would have raised.
        ConfigurationError: there is no such interpreter.
        StorageError: there is no room for the arrays.
        MeasurementError: the child died, hung, or said what it should not.
    """

    def __init__(
        self,
        bundle: Path,
        *,
        variant: str | None = None,
        threads: int = 1,
        python: Path | Interpreter | None = None,
        cpus: Sequence[int] = (),
        inputs: Mapping[str, NDArray[Any]] | None = None,
        preparation: exchange.Preparation = AS_USUAL,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.timeout_s = timeout_s
        if not isinstance(python, Interpreter):
            python = of_this_machine(Path(python or sys.executable))
        self._timed = python.timed
        self._name = f"{bundle.name}/{variant or 'winner'}"
        self._heard = b""
        self._folder = tempfile.TemporaryDirectory(prefix="insight-edge-subject-")
        self._words: IO[bytes] = self._path("stderr").open("w+b")
        setup = exchange.Setup(
            bundle=str(bundle.absolute()),
            variant=variant,
            threads=threads,
            cpus=tuple(cpus),
            inputs=None if inputs is None else str(self._path("queries.npz")),
            parent=os.getpid(),
            timed=python.timed,
            preparation=preparation,
        )
        self._child: subprocess.Popen[bytes] | None = None
        try:
            if inputs is not None:
                self._write("queries.npz", inputs)
            with interrupts_held():
                self._child = self._start(python, setup)
            self.loaded = self._hear(exchange.Loaded)
        except BaseException:
            self.close()
            raise

    def answer(self, inputs: Mapping[str, NDArray[Any]]) -> Arrays:
        """Return the raw model outputs for model inputs (n, ...), n at least 1.

        Raises:
            InferenceFailedError: the engine failed.
            StorageError: there is no room for the arrays.
            MeasurementError: the child died, hung, or said what it should not.
        """
        asked, answered = self._path("inputs.npz"), self._path("outputs.npz")
        self._write(asked.name, inputs)
        self._order(exchange.Answer(inputs=str(asked), outputs=str(answered)), exchange.Done)
        try:
            return arrays_from_npz(
                answered.read_bytes(),
                max_bytes=exchange.MAX_ARRAYS_BYTES,
                max_arrays=exchange.MAX_ARRAYS,
            )
        except (OSError, DocumentError) as error:
            raise MeasurementError(f"{self._name}: the child left no arrays: {error}") from error

    def block(self, iterations: int) -> NDArray[np.int64]:
        """Return the duration in ns of each of some queries, one after the other.

        Raises:
            ValueError: an emulator runs it.
            InferenceFailedError: the engine failed.
            StorageError: there is no room for the durations.
            MeasurementError: the child died, hung, or said what it should not.
        """
        self._refuse_emulated()
        durations = self._path("durations.npy")
        self._order(exchange.Block(iterations=iterations, durations=str(durations)), exchange.Done)
        return self._durations(durations)

    def serve(self, due_ns: NDArray[np.int64], waiting: int) -> NDArray[np.int64]:
        """Return when queries due at given times were begun and answered, as `scenarios.serving`.

        Args:
            due_ns: i8[n], rising.
            waiting: queries that may wait, at least 1.

        Raises:
            InsightEdgeError: as `block`.
        """
        self._refuse_emulated()
        due, times = self._path("due.npy"), self._path("times.npy")
        try:
            np.save(due, due_ns)
        except OSError as error:
            raise StorageError(f"{due}: {error.strerror}") from error
        order = exchange.Serve(due=str(due), waiting=waiting, times=str(times))
        self._order(order, exchange.Done, more_s=float(due_ns.max(initial=0)) / 1e9)
        return self._durations(times)

    def usage(self, *, anew: bool = False) -> exchange.Usage:
        """Return what the child has used until now.

        Args:
            anew: what it feels is added up from here on.

        Raises:
            MeasurementError: the child died, hung, or said what it should not.
        """
        return self._order(exchange.TellUsage(anew=anew), exchange.Usage)

    def close(self) -> None:
        """End the child and all that it started; more calls do nothing."""
        with interrupts_held():
            child, self._child = self._child, None
            if child is not None:
                _end(child)
            self._words.close()
            self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _start(self, python: Interpreter, setup: exchange.Setup) -> subprocess.Popen[bytes]:
        told = msgspec.json.encode(setup).decode()
        try:
            return subprocess.Popen(
                [*python.command, "-m", "insight_edge.bench.child", told],
                env=python.variables,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._words,
                start_new_session=True,
                cwd=self._folder.name,
            )
        except OSError as error:
            raise ConfigurationError(
                f"{python.command[0]} cannot be run: {error.strerror}",
                hint="name a Python interpreter",
            ) from error

    def _refuse_emulated(self) -> None:
        if not self._timed:
            raise ValueError("what an emulator takes says nothing about the machine")

    def _durations(self, path: Path) -> NDArray[np.int64]:
        try:
            found: NDArray[np.int64] = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise MeasurementError(f"{self._name}: the child left no durations: {error}") from error
        return found

    def _path(self, name: str) -> Path:
        return Path(self._folder.name) / name

    def _write(self, name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        try:
            self._path(name).write_bytes(npz_from_arrays(arrays))
        except OSError as error:
            raise StorageError(f"{self._path(name)}: {error.strerror}") from error

    def _order(self, order: exchange.Order, expected: type[R], *, more_s: float = 0.0) -> R:
        child = self._living()
        try:
            if child.stdin is not None:
                child.stdin.write(msgspec.json.encode(order) + b"\n")
        except BrokenPipeError:
            raise self._ended() from None
        return self._hear(expected, more_s)

    def _hear(self, expected: type[R], more_s: float = 0.0) -> R:
        """Return the next reply.

        Raises:
            InsightEdgeError: of the class that the child names, where it refused.
            MeasurementError: it is none, or none of the expected kind.
        """
        line = self._line(self.timeout_s + more_s)
        try:
            reply = msgspec.json.decode(line, type=exchange.Reply)
        except msgspec.MsgspecError as error:
            raise MeasurementError(f"{self._name}: the child said {line[:80]!r}") from error
        if isinstance(reply, exchange.Refused):
            raise self._refusal(reply)
        if not isinstance(reply, expected):
            raise MeasurementError(f"{self._name}: the child said {line[:80]!r}")
        return reply

    def _line(self, within_s: float) -> bytes:
        deadline = time.monotonic() + within_s
        while b"\n" not in self._heard:
            part = self._part(deadline)
            if not part:
                raise self._ended()
            self._heard += part
            if len(self._heard) > exchange.MAX_LINE_BYTES:
                raise MeasurementError(f"{self._name}: the child said {self._heard[:80]!r}")
        line, _, self._heard = self._heard.partition(b"\n")
        return line

    def _part(self, deadline: float) -> bytes:
        stdout = self._living().stdout
        left_s = max(0.0, deadline - time.monotonic())
        if stdout is None or not select.select([stdout], [], [], left_s)[0]:
            raise MeasurementError(
                f"{self._name}: no answer within {self.timeout_s:g} s",
                hint="is the machine overloaded, or does the engine hang?",
            )
        return os.read(stdout.fileno(), 1 << 16)

    def _living(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            raise ValueError("the subject is closed")
        return self._child

    def _refusal(self, reply: exchange.Refused) -> InsightEdgeError:
        kind = getattr(errors, reply.kind, MeasurementError)
        if not (isinstance(kind, type) and issubclass(kind, InsightEdgeError)):
            kind = MeasurementError
        return kind(f"{self._name}: {reply.message}", hint=reply.hint)

    def _ended(self) -> MeasurementError:
        self._words.seek(0)
        words = self._words.read()[-LAST_WORDS_BYTES:].decode(errors="replace").strip()
        last = words.splitlines()[-1] if words else "it said nothing"
        return MeasurementError(f"{self._name}: the child {_end_of(self._living().pid)}: {last}")


def _end(child: subprocess.Popen[bytes]) -> None:
    """Kill a child that nobody waited for, so that its number is still its own."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    for stream in (child.stdin, child.stdout):
        if stream is not None:
            stream.close()


def _end_of(pid: int) -> str:
    """Return how a child ended, in words; it stays to be waited for."""
    watched = os.pidfd_open(pid)
    try:
        if not select.select([watched], [], [], END_S)[0]:
            return "closed its standard output"
    finally:
        os.close(watched)
    end = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    if end is None or end.si_code == os.CLD_EXITED:
        return f"ended, exit code {end.si_status if end else 'unknown'}"
    return f"ended, killed by signal {end.si_status}"
