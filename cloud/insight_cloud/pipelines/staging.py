# SPDX-License-Identifier: Apache-2.0
"""How one stage of a run is done: written down, stoppable, and with its failure as data."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from insight_cloud.pipelines.recording import Recording
from insight_cloud.pipelines.rules import Run, RunState, StepState
from insight_cloud.platform.workflows import Stopped
from insight_edge.errors import InsightEdgeError

PULSE_S: Final = 0.1
ASK_S: Final = 1.0
"""How often it is looked whether somebody cancelled the run."""

_log = logging.getLogger(__name__)

Clock = Callable[[], datetime]


class CancelledError(InsightEdgeError):
    """Somebody cancelled the run."""


@dataclass(frozen=True, kw_only=True)
class Done:
    """What a stage did.

    Attributes:
        text: a sentence with figures.
        found: plain values for later stages.
    """

    text: str
    found: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A stage after which the run does not go on, and why."""

    state: RunState
    reason: str


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What was seen while something is waited for.

    Attributes:
        outcome: what the wait ends with; None while it goes on.
    """

    text: str
    progress: float | None = None
    outcome: Done | Ended | None = None


class Staging:
    """Does the stages of one run.

    Args:
        recording: where they are written down.
        run: as it was when this process took it up.
        clock: says when.
        stopping: whether the process ends.
        look_s: how often something that is waited for is looked at.
    """

    def __init__(
        self,
        recording: Recording,
        run: Run,
        *,
        clock: Clock,
        stopping: Callable[[], bool],
        look_s: float,
    ) -> None:
        self.run = run
        self.clock = clock
        self.recording = recording
        self._stopping = stopping
        self._look_s = look_s
        self._asked_s = 0.0

    def do(self, name: str, text: str, stage: Callable[[], Done | Ended]) -> dict[str, Any]:
        """Return what a stage found, or `{"ended": state, "reason": ...}`.

        Args:
            name: of the stage.
            text: what it is doing, for people.
            stage: does it; again after a crash.

        Raises:
            Stopped: the process ends.
        """
        self.recording.begin(self.run.id, name, text, self.clock())
        try:
            self.pulse()
            self._refuse_cancelled()
            outcome = stage()
        except CancelledError as error:
            outcome = Ended(state=RunState.CANCELLED, reason=str(error))
        except InsightEdgeError as error:
            outcome = Ended(state=RunState.FAILED, reason=f"{name}: {error}")
        except Exception as error:  # noqa: BLE001 - a mistake of ours ends one run, with a log
            _log.exception("run %s, %s", self.run.id, name)
            outcome = Ended(state=RunState.FAILED, reason=f"{name}: {type(error).__name__}")
        now = self.clock()
        if isinstance(outcome, Ended):
            self.recording.end(self.run.id, name, StepState.STOPPED, outcome.reason, now)
            return {"ended": outcome.state.value, "reason": outcome.reason}
        self.recording.end(self.run.id, name, StepState.DONE, outcome.text, now)
        return outcome.found

    def wait(self, name: str, look: Callable[[], Looked], *, within_s: float) -> Done | Ended:
        """Look again and again, and return what the wait ends with.

        Args:
            name: of the stage.
            look: looks once.
            within_s: from when the stage began for the first time.

        Raises:
            Stopped, CancelledError: as `pulse`.
        """
        until = self._began(name) + timedelta(seconds=within_s)
        told: tuple[str, float | None] | None = None
        while True:
            looked = look()
            if looked.outcome is not None:
                return looked.outcome
            if (looked.text, looked.progress) != told:
                told = looked.text, looked.progress
                self.recording.tell(self.run.id, name, *told)
            if self.clock() >= until:
                reason = f"{name}: given up after {within_s:g} s: {looked.text}"
                return Ended(state=RunState.STOPPED, reason=reason)
            self._sleep()

    def pulse(self) -> None:
        """Raise where the stage should end before it is done.

        Raises:
            Stopped: the process ends.
            CancelledError: somebody cancelled the run.
        """
        if self._stopping():
            raise Stopped
        if time.monotonic() - self._asked_s >= ASK_S:
            self._refuse_cancelled()

    def _refuse_cancelled(self) -> None:
        self._asked_s = time.monotonic()
        run = self.recording.run(self.run.id)
        if run.cancelled_by is not None:
            rollout = run.facts.get("rollout")
            rest = "" if rollout is None else f"; rollout {rollout} goes on without it"
            raise CancelledError(f"cancelled by {run.cancelled_by}{rest}")

    def _sleep(self) -> None:
        until_s = time.monotonic() + self._look_s
        while time.monotonic() < until_s:
            self.pulse()
            time.sleep(min(PULSE_S, self._look_s))

    def _began(self, name: str) -> datetime:
        steps = {step.name: step for step in self.recording.run(self.run.id).steps}
        return steps[name].started
