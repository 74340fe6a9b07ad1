# SPDX-License-Identifier: Apache-2.0
"""Repair INT8 that fails its proof: leave the layers that hurt most in floating point.

Layers are ranked on calibration rows. Then artifacts with fewer and fewer layers
in floating point are put to the proof, the safest first, until one fails; the
last that passed stays. In this order, fixed beforehand, every proof may use the
whole error allowance (W. Maurer, L. Hothorn, W. Lehmacher, 1995: a priori
ordered hypotheses), so trying several is not a way to get lucky. INT8 that passes
is not touched.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from insight_edge.compile.building.outcome import BuildOutcome, Built, Failed
from insight_edge.compile.plugins.discovery import backends
from insight_edge.compile.plugins.seam import LEFT_OUT, MIXED, SCAN, Mending
from insight_edge.compile.quantize.sensitivity import SENSITIVITY_FILE, Layer, Sensitivity, ladder
from insight_edge.compile.trials.examine import Finding
from insight_edge.compile.trials.package import Part
from insight_edge.documents.codec import decode_json
from insight_edge.documents.evidence import Proof
from insight_edge.documents.facts import Missing
from insight_edge.documents.target import Target
from insight_edge.stats.paired import rows_needed

Build = Callable[[Target, float], BuildOutcome]
"""Builds a target within some seconds."""

Look = Callable[[Part], Finding]
"""Puts an artifact to the proof."""


@dataclass(frozen=True, kw_only=True)
class Mended:
    """What became of a repair; `part` is None where nothing was built."""

    target: Target
    outcome: BuildOutcome
    part: Part | None = None


@dataclass(kw_only=True)
class Repair:
    """Repairs within a budget of seconds, all targets of a compilation together.

    Attributes:
        build: builds a target.
        budget_s: nothing new is begun after; 0 for no repair.
        tell: called with a few words at every step.
        done: what became of each repair.
    """

    build: Build
    budget_s: float
    tell: Callable[[str], None]
    done: list[Mended] = field(default_factory=list)

    def __call__(self, findings: Sequence[Finding], look: Look) -> list[Part]:
        """Return the repaired artifacts of those that failed their proof and can be repaired."""
        if self.budget_s <= 0:
            return []
        deadline = time.monotonic() + self.budget_s
        for finding in findings:
            if is_mendable(finding):
                self.tell(f"looking for what hurts {finding.part.target.token}")
                self.done.append(self._mend(finding.part.target, look, deadline))
        return [mended.part for mended in self.done if mended.part is not None]

    def _mend(self, target: Target, look: Look, deadline: float) -> Mended:
        mixed = _mixed(target, ())
        outcome = self._build(_with(target, SCAN, value=True), deadline)
        if isinstance(outcome, Failed):
            return Mended(target=mixed, outcome=_failed(outcome, "no layer was measured"))
        layers = decode_json(
            Sensitivity, (outcome.directory / SENSITIVITY_FILE).read_bytes()
        ).layers
        kept: Mended | None = None
        for count in ladder(Sensitivity(layers=layers)):
            if kept is not None and time.monotonic() > deadline:
                break
            self.tell(f"{mixed.token}: {count} of {len(layers)} layers in floating point")
            tried, passes = self._try(
                _mixed(target, layers[:count]), layers[:count], look, deadline
            )
            kept = tried if passes or kept is None else kept
            if not passes:
                break
        whole = Failed(reason="it has too few layers", build_s=0.0, peak_rss_bytes=0, log="")
        return kept or Mended(target=mixed, outcome=whole)

    def _try(
        self, target: Target, layers: Sequence[Layer], look: Look, deadline: float
    ) -> tuple[Mended, bool]:
        """Return one artifact with layers in floating point, and whether it passes."""
        outcome = self._build(target, deadline)
        if not isinstance(outcome, Built):
            return Mended(target=target, outcome=outcome), False
        told = tuple(layer.told for layer in layers)
        part = Part(target=target, built=outcome, float_layers=told)
        proof = look(part).proof
        passes = proof is not None and proof.verdict == "PROVEN"
        return Mended(target=target, outcome=outcome, part=part), passes

    def _build(self, target: Target, deadline: float) -> BuildOutcome:
        return self.build(target, max(1.0, deadline - time.monotonic()))


def is_mendable(finding: Finding) -> bool:
    """Return whether it failed its proof for what it loses, and its backend can repair it.

    Where rows are too few to prove anything, no repair helps.
    """
    target, proof = finding.part.target, finding.proof
    backend = backends().get(target.backend)
    if backend is None or isinstance(backend, Missing):
        return False
    if not isinstance(backend, Mending) or not backend.mends(target):
        return False
    return proof is not None and proof.verdict != "PROVEN" and _would_do(proof)


def _would_do(proof: Proof) -> bool:
    """Return whether an artifact that loses nothing would be proven on as many rows."""
    return rows_needed(proof.rows, 0, 0, budget=proof.budget_pp / 100) <= proof.rows


def _mixed(target: Target, layers: Sequence[Layer]) -> Target:
    names = [name for layer in layers for name in layer.members]
    return _with(_with(target, MIXED, value=True), LEFT_OUT, value=names)


def _with(target: Target, option: str, *, value: object) -> Target:
    return Target(
        backend=target.backend,
        precision=target.precision,
        options=target.options | {option: value},
    )


def _failed(outcome: Failed, what: str) -> Failed:
    return Failed(
        reason=f"{what}: {outcome.reason}",
        build_s=outcome.build_s,
        peak_rss_bytes=outcome.peak_rss_bytes,
        log=outcome.log,
    )
