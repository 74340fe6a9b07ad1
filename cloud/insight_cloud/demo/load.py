# SPDX-License-Identifier: Apache-2.0
"""One application under load, and a swap that happens to it."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from insight_cloud.demo.driver import Driver
from insight_cloud.demo.programs import ProgramError
from insight_cloud.demo.recording import Recording, read_recording
from insight_edge.bundle.open import Bundle
from insight_edge.bundle.slots import Slots
from insight_edge.documents.host import SwapRecord
from insight_edge.documents.report import Report

CALLERS = 2
BEFORE_S, AFTER_S = 4.0, 4.0
"""Load on either side of the swap; thousands of inferences each."""

LOAD_TIMEOUT_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Run:
    """One application under load, and the swap that happened to it.

    Attributes:
        began_ns, ended_ns: of the activation, monotonic.
        reports: of all windows, in order.
    """

    recording: Recording
    record: SwapRecord
    began_ns: int
    ended_ns: int
    reports: tuple[Report, ...]


def swap_under_load(folder: Path, first: Bundle, second: Bundle) -> Run:
    """Serve the first bundle from a slot, swap to the second, and stop in good order.

    Raises:
        ProgramError: the application ended, or did not say what it should.
        UpdateError: the host refused the swap.
    """
    state, recording = folder / "device", folder / "recording.npz"
    slots = Slots(state)
    slots.commit(slots.stage(first.path))
    with _application(state, folder / "final.npz", recording) as application:
        _expect(application, "serving")
        with Driver(state) as driver:
            _load_for(application, BEFORE_S)
            record, began_ns, ended_ns = driver.swap(second.path)
            _load_for(application, AFTER_S)
            _tell(application, "stop")
            _expect(application, "recorded")
            reports = driver.take_reports()
    return Run(
        recording=read_recording(recording),
        record=record,
        began_ns=began_ns,
        ended_ns=ended_ns,
        reports=reports,
    )


@contextmanager
def _application(state: Path, images: Path, recording: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "insight_cloud.demo.application"]
    with subprocess.Popen(
        [*command, str(state), str(images), str(recording), str(CALLERS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as application:
        try:
            yield application
            application.communicate(timeout=LOAD_TIMEOUT_S)
        finally:
            application.kill()


def _expect(application: subprocess.Popen[str], word: str) -> None:
    said = application.stdout.readline().strip() if application.stdout else ""
    if said != word:
        raise ProgramError(f"the application said '{said}' instead of '{word}'")


def _tell(application: subprocess.Popen[str], word: str) -> None:
    if application.stdin is None:
        raise ProgramError("the application cannot be told anything")
    application.stdin.write(word + "\n")
    application.stdin.flush()


def _load_for(application: subprocess.Popen[str], duration_s: float) -> None:
    """Let the load run on for a while, unless the application ends."""
    try:
        code = application.wait(timeout=duration_s)
    except subprocess.TimeoutExpired:
        return
    raise ProgramError(f"the application ended with exit code {code}")
