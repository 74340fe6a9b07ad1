# SPDX-License-Identifier: Apache-2.0
"""A compilation for a profile of another architecture than this machine's.

Artifacts are built here as any others, asked under emulation (`compile.targets.emulation`) and
never timed: what is said of their latency is predicted. What cannot be asked is built and
says that nobody has executed it.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from insight_edge.bench.interpreter import Interpreter
from insight_edge.compile.targets.emulation import UNASKABLE, Emulation, find_emulation
from insight_edge.compile.targets.plan import Planned
from insight_edge.compile.targets.predict import predict, predict_bounded
from insight_edge.documents.evidence import Trial
from insight_edge.documents.facts import Facts
from insight_edge.documents.profile import HardwareProfile
from insight_edge.documents.workload import Workload
from insight_edge.errors import ToolchainMissingError

ASKING_S = 300.0
"""For the rows of one artifact: emulation takes a few hundred times as long as the device. What is
not asked by then is not part of the proof, and its bound is the wider for it."""


@dataclass(frozen=True, kw_only=True)
class Abroad:
    """Another architecture, as far as it can be had here.

    Attributes:
        here: this machine's architecture.
        emulation: what runs its artifacts, or why nothing does.
        place: folder for what an emulated process sees.
        contenders: a device will time what is built, so that predictions refuse nothing.
    """

    profile: HardwareProfile
    here: str
    emulation: Emulation | str
    place: Path
    contenders: bool = False

    def settled(self, planned: Planned) -> Planned:
        """Return a target with why it is not worth building, or cannot be asked once it is."""
        target = planned.target
        if planned.refusal is not None or planned.unexecuted is not None:
            return planned
        predicted = predict(target, self.profile)
        slower = target.precision == "int8" and not predicted.faster
        if slower and not self.contenders:
            reason = f"not predicted faster than FP32: {predicted.method}"
            return replace(planned, refusal=reason)
        if target.backend in UNASKABLE:
            return replace(planned, refusal=UNASKABLE[target.backend])
        why = self._obstacle(target.backend)
        if why is None:
            return planned
        arch = self.profile.cpu.arch
        return replace(planned, unexecuted=f"this machine is {self.here}, not {arch}: {why}")

    def interpreter(self, engine: str) -> Interpreter:
        """Return what runs the device's environment of an engine.

        Raises:
            ToolchainMissingError: it is not installed.
        """
        if isinstance(self.emulation, str):
            raise ToolchainMissingError(self.emulation)
        return self.emulation.interpreter(engine, self.place)

    def labelled(self, trial: Trial, workload: Workload) -> Trial:
        """Return a trial that was asked with how, and with what is predicted of its latency."""
        if trial.proof is None:
            return trial
        prediction = predict_bounded(trial.target, self.profile, workload)
        return msgspec.structs.replace(trial, emulated=str(self.emulation), prediction=prediction)

    def _obstacle(self, engine: str) -> str | None:
        if isinstance(self.emulation, str):
            return self.emulation
        try:
            self.interpreter(engine)
        except ToolchainMissingError as error:
            return f"{error} ({error.hint})"
        return None


def abroad(
    profile: HardwareProfile, facts: Facts, place: Path, *, contenders: bool = False
) -> Abroad | None:
    """Return what there is of the profile's architecture, None where it is this machine's own."""
    if profile.cpu.arch == facts.arch:
        return None
    return Abroad(
        profile=profile,
        here=facts.arch,
        emulation=find_emulation(profile),
        place=place,
        contenders=contenders,
    )
