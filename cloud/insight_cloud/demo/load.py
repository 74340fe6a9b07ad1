# SPDX-License-Identifier: Apache-2.0
"""One application under load, and a swap that happens to it."""

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from insight_cloud.demo.driver import swap, take_reports
from insight_cloud.demo.programs import ProgramError
from insight_cloud.demo.recording import Recording, read_recording
from insight_edge.bundle.open import Bundle
from insight_edge.bundle.slots import Slots
from insight_edge.documents.host import SwapRecord
from insight_edge.documents.report import Report

CALLERS = 2
BEFORE_S, AFTER_S = 4.0, 4.0
"""Full load on either side of the swap; thousands of inferences each."""

END_TIMEOUT_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Run:
    """One application from its start to its end, and the swap that happened to it.

    Attributes:
        full_ns: when full load began, monotonic.
        began_ns, ended_ns: of the activation, monotonic.
        reports: of all windows, in order.
    """

    recording: Recording
    record: SwapRecord
    full_ns: int
    began_ns: int
    ended_ns: int
    reports: tuple[Report, ...]


class Application:
    """A process that serves a bundle from a slot to callers of its own; a context manager.

    Args:
        state: of the device; the bundle is put into one of its slots.
        images: file of what is asked about.

    Raises:
        ProgramError: it ended, or did not say what it should; so of every method.
    """

    def __init__(self, state: Path, bundle: Bundle, images: Path) -> None:
        slots = Slots(state)
        slots.commit(slots.stage(bundle.path))
        self._state = state
        self._record = state / "recording.npz"
        command = [sys.executable, "-m", "insight_cloud.demo.application"]
        self._process = subprocess.Popen(
            [*command, str(state), str(images), str(self._record), str(CALLERS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        """Return the application once it serves."""
        self._expect("serving")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let it end in good order; after an error, end it."""
        try:
            if error is None:
                self._process.communicate(timeout=END_TIMEOUT_S)
        finally:
            self._process.kill()
            self._process.communicate()

    def swap_under_full_load(self, bundle: Bundle) -> Run:
        """Let the callers ask without pause, swap meanwhile, and stop them some time after.

        Raises:
            UpdateError: the host refused the swap.
        """
        full_ns = time.monotonic_ns()
        self._tell("full")
        self._serve_for(BEFORE_S)
        record, began_ns, ended_ns = swap(self._state, bundle.path)
        self._serve_for(AFTER_S)
        self._tell("stop")
        self._expect("recorded")
        return Run(
            recording=read_recording(self._record),
            record=record,
            full_ns=full_ns,
            began_ns=began_ns,
            ended_ns=ended_ns,
            reports=take_reports(self._state),
        )

    def _serve_for(self, duration_s: float) -> None:
        try:
            code = self._process.wait(timeout=duration_s)
        except subprocess.TimeoutExpired:
            return
        raise ProgramError(f"the application ended with exit code {code}")

    def _tell(self, word: str) -> None:
        if self._process.stdin is None:
            raise ProgramError("the application cannot be told anything")
        try:
            self._process.stdin.write(word + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise ProgramError(f"the application ended before '{word}'") from error

    def _expect(self, word: str) -> None:
        said = self._process.stdout.readline().strip() if self._process.stdout else ""
        if said != word:
            raise ProgramError(f"the application said '{said}' instead of '{word}'")
