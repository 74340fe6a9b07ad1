# SPDX-License-Identifier: Apache-2.0
"""One case through the product and beside it: imported, planned, built, bundled, answered.

Every step runs in the environment that it has in the product; what a step says
becomes a verdict here. Nothing is compared here (`conformance.worker` does).
"""

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from conformance.corpus import Case
from conformance.crew import Answer, Crew
from conformance.record import Outcome, Row
from insight_edge.bundle.golden import golden_bytes
from insight_edge.bundle.write import file_entry, write_bundle
from insight_edge.compile.job import Artifact
from insight_edge.documents.codec import decode_json, encode_json
from insight_edge.documents.manifest import Golden, Io, Manifest, ModelInfo, Variant
from insight_edge.documents.target import Target
from insight_edge.documents.workload import Workload

UNEXECUTED = ("tensorrt",)
"""Engines that need hardware which is not here: what was built for them was never run."""

_NOISE = (
    (re.compile(r"Exception from [^\s:]+:\d+:"), ""),
    (re.compile(r"Check '.*?' failed at [^\s:]+:\d+:"), ""),
    (re.compile(r"(?<![\w.])/[^\s'\":]*/"), ""),
    (re.compile(r"0x[0-9a-f]+"), "0x…"),
    (re.compile(r"\s+"), " "),
)
MAX_REASON = 160


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """What is tried of every case.

    Attributes:
        backends: tokens; FP32 of each.
        place: directory to work in.
    """

    backends: Sequence[str]
    place: Path
    crew: Crew
    bare: bool = True

    def run(self, case: Case) -> Row:
        """Return what became of a case with every backend."""
        place = self.place / "case"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        targets = [Target(backend=token, precision="fp32").token for token in self.backends]
        task = {"model": str(case.model), "place": str(place), "targets": targets}
        known = self.crew.ask("read", "", task)
        ours = {
            token: self._ours(case, place, token, target, known)
            for token, target in zip(self.backends, targets, strict=True)
        }
        beside = {token: self._bare(case, place, token) for token in self.backends if self.bare}
        shutil.rmtree(place, ignore_errors=True)
        return Row(ours=ours, bare=beside)

    def _ours(self, case: Case, place: Path, token: str, target: str, known: Answer) -> Outcome:
        if "lost" in known or "error" in known:
            return _crash("the importer: " + str(known.get("lost") or known.get("error")))
        refusal = known["refusal"] if "refusal" in known else known["plans"][target]
        if refusal is not None:
            return Outcome(verdict="refused", reason=_reason(refusal))
        built = self._build(place, token)
        if isinstance(built, Outcome):
            return built
        if token in UNEXECUTED:
            return Outcome(verdict="built")
        return self._answer(case, place, token, built)

    def _answer(self, case: Case, place: Path, token: str, built: Artifact) -> Outcome:
        """Ask the engine of a device; the product's proof has the last word on what is wrong."""
        bundle = _bundle(place, token, built)
        answers = str(place / f"{token}-found.npz")
        task = {"bundle": str(bundle), "asked": str(place), "found": answers}
        answer = self.crew.ask("answer", token, task | {"allowed": _allowed(case)})
        if "wrong" not in answer:
            return _answered(answer)
        task = {"place": str(place), "job": str(place / f"{token}.json"), "found": answers}
        proven = self.crew.ask("prove", "", task | {"set": answer["set"]})
        if proven.get("failure") is None:
            return Outcome(verdict="wrong", reason=_reason(answer["wrong"]))
        return _failed(f"fails its proof: {proven['failure']}")

    def _build(self, place: Path, token: str) -> Artifact | Outcome:
        directory = place / f"{token}-artifact"
        directory.mkdir()
        task = {"job": str(place / f"{token}.json"), "place": str(directory)}
        answer = self.crew.ask("build", token, task)
        if "lost" in answer or "error" in answer:
            return _failed(answer.get("lost") or answer["error"])
        artifact = decode_json(Artifact, answer["artifact"].encode())
        empty = [
            name
            for name in artifact.files
            if not (directory / name).is_file() or not (directory / name).stat().st_size
        ]
        return _failed(f"the build left no {empty[0]}") if empty else artifact

    def _bare(self, case: Case, place: Path, token: str) -> Outcome:
        scratch = place / f"{token}-bare"
        scratch.mkdir()
        task = {
            "engine": token,
            "model": str(case.model),
            "place": str(scratch),
            "allowed": _allowed(case),
        }
        answer = self.crew.ask("bare", token, task)
        if "lost" in answer or "error" in answer:
            return _failed(answer.get("lost") or answer["error"])
        if "wrong" in answer:
            return Outcome(verdict="wrong", reason=_reason(answer["wrong"]))
        return Outcome(verdict="built" if answer.get("unexecuted") else "pass")


def _allowed(case: Case) -> dict[str, float]:
    return {"rtol": case.rtol, "atol": case.atol, "steps": case.steps}


def _answered(answer: Answer) -> Outcome:
    """Return the verdict on a device: an engine that dies there takes its host with it."""
    if "lost" in answer:
        if answer["signal"]:
            return _crash("the engine: " + answer["lost"])
        return _failed(answer["lost"])
    if "error" in answer:
        return _failed(answer["error"])
    return Outcome(verdict="pass")


def _bundle(place: Path, token: str, artifact: Artifact) -> Path:
    """Write the bundle of an artifact as the product does, golden samples apart."""
    workload = decode_json(Workload, (place / "workload.json").read_bytes())
    directory = place / f"{token}-artifact"
    io = Io(
        inputs=workload.inputs,
        outputs=workload.outputs,
        model_inputs=workload.inputs,
        model_outputs=workload.outputs,
    )
    files: Mapping[str, Path | bytes] = {name: directory / name for name in artifact.files} | {
        "golden.npz": golden_bytes({}, {}),
        "evidence.json": encode_json(workload),
    }
    entries = {name: file_entry(name, source) for name, source in files.items()}
    variant = Variant(
        name=f"{token}-fp32",
        target=Target(backend=token, precision="fp32"),
        entry=artifact.entry,
        files=tuple(entries[name] for name in artifact.files),
        engine_versions=artifact.engine_versions,
        isa=artifact.isa,
        settings=artifact.settings,
        tolerance=0.0,
    )
    manifest = Manifest(
        model=ModelInfo(name="case", digest=workload.model_digest),
        profile="conformance",
        io=io,
        variants=(variant,),
        golden=Golden(file=entries["golden.npz"], rows=0, source="random"),
        evidence=entries["evidence.json"],
    )
    write_bundle(place / f"{token}-bundle", manifest, files)
    return place / f"{token}-bundle"


def _failed(reason: str) -> Outcome:
    return Outcome(verdict="failed", reason=_reason(reason))


def _crash(reason: str) -> Outcome:
    return Outcome(verdict="crash", reason=_reason(reason))


def _reason(text: str) -> str:
    """Return one line that is the same on every machine."""
    line = text
    for pattern, instead in _NOISE:
        line = pattern.sub(instead, line)
    return line.strip()[:MAX_REASON].strip()
