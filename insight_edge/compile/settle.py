# SPDX-License-Identifier: Apache-2.0
"""Make a bundle of contenders into the one that is shipped, by what a device has timed.

Nothing is built and no model is asked: artifacts, proofs and golden answers are the
bundle's. What follows from the times is said by `compile.contenders` and `compile.choose`.
"""

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from msgspec.structs import replace

from insight_edge.bundle.contents import vocabularies
from insight_edge.bundle.golden import golden_bytes
from insight_edge.bundle.open import Bundle, open_bundle
from insight_edge.bundle.write import Source, file_entry, write_bundle
from insight_edge.compile.choose import Choice, choose
from insight_edge.compile.contenders import Run, measured, run_of
from insight_edge.compile.settings import Compilation
from insight_edge.documents.codec import encode_json
from insight_edge.documents.evidence import Evidence, Trial
from insight_edge.documents.manifest import Manifest, Variant
from insight_edge.documents.profile import HardwareProfile
from insight_edge.documents.result import BenchResult, artifact_digest
from insight_edge.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True)
class Settling:
    """What is settled, and by what.

    Attributes:
        bundle: of contenders; its directory.
        results: of a device.
        source: the file that they were read from, for the command that does it again.
        profile_name: what finds the profile again.
    """

    bundle: Path
    results: Sequence[BenchResult]
    source: Path
    profile_name: str


def settle(
    settling: Settling, profile: HardwareProfile, output: Path, *, accept_unproven: bool = False
) -> Compilation:
    """Write the bundle `output` with the variants that win as a device of the profile timed them.

    Args:
        settling: the bundle and the results.
        profile: that the bundle was compiled for; its limits are applied anew.
        output: directory of the bundle; an existing bundle is replaced.
        accept_unproven: ship what could not be proven.

    Raises:
        DocumentError: the bundle is malformed.
        ConfigurationError: it is for another profile, no result is of it, or something else lies
            at `output`.
        NothingShippableError: no trial survived; it carries the trials.
        StorageError: the disk is full or cannot be written; no bundle is left half-written.
    """
    opened = open_bundle(settling.bundle, allow_unsigned=True)
    _refuse_other(opened, profile)
    before = opened.evidence()
    variants = {one.target.token: one for one in opened.manifest.variants}
    artifacts = {token: artifact_digest(one.files) for token, one in variants.items()}
    run = run_of(settling.results, artifacts, profile)
    host = next(iter(run.values())).host
    trials = measured(_present(before, artifacts), run, profile)
    choice = choose(trials, profile.limits, accept_unproven=accept_unproven, measured_on=host)
    evidence = _evidence(before, choice, run)
    manifest = replace(
        opened.manifest,
        variants=_shipped(choice, variants),
        provenance=replace(
            opened.manifest.provenance,
            reproduce=_reproduce(settling, opened, output, accept_unproven),
            created=evidence.created,
        ),
    )
    return Compilation(
        bundle=output, digest=_write(output, opened, manifest, evidence), evidence=evidence
    )


def _refuse_other(opened: Bundle, profile: HardwareProfile) -> None:
    if opened.manifest.profile != profile.id:
        raise ConfigurationError(
            f"{opened.path}: the bundle is for {opened.manifest.profile}, not {profile.id}"
        )


def _present(evidence: Evidence, artifacts: Collection[str]) -> tuple[Trial, ...]:
    """Return the trials; one whose artifact is not in the bundle says so and cannot be shipped."""
    return tuple(
        trial
        if trial.target.token in artifacts or trial.status != "built" or trial.unfinished
        else replace(trial, unfinished=trial.reason or "did not go along")
        for trial in evidence.trials
    )


def _evidence(before: Evidence, choice: Choice, run: Run) -> Evidence:
    one = next(iter(run.values()))
    packages = {result.target.backend: result.packages for result in run.values()}
    return replace(
        before,
        measured_on=one.host,
        measured_by=one.device,
        environment=before.environment | packages,
        trials=choice.trials,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _shipped(choice: Choice, variants: Mapping[str, Variant]) -> tuple[Variant, ...]:
    roles = ("winner", "fallback")
    return tuple(
        replace(
            variants[choice.trials[index].target.token],
            role=role,
            decision=choice.trials[index].reason,
        )
        for index, role in zip(choice.shipped, roles, strict=False)
    )


def _reproduce(settling: Settling, opened: Bundle, output: Path, accept_unproven: bool) -> str:
    words = ["insight-edge", "compile", "-m", str(settling.bundle)]
    words += ["--measured", str(settling.source), "--profile", settling.profile_name]
    words += ["--accept-unproven"] if accept_unproven else []
    again = shlex.join([*words, "-o", str(output)])
    return " && ".join(filter(None, (opened.manifest.provenance.reproduce, again)))


def _write(output: Path, opened: Bundle, manifest: Manifest, evidence: Evidence) -> str:
    golden, kept = opened.golden(), {variant.name for variant in manifest.variants}
    answers = {name: own for name, own in golden.answers.items() if name in kept}
    samples = golden_bytes(golden.inputs, golden.outputs, answers, golden.results)
    proof = encode_json(evidence)
    manifest = replace(
        manifest,
        golden=replace(manifest.golden, file=file_entry(manifest.golden.file.path, samples)),
        evidence=file_entry(manifest.evidence.path, proof),
    )
    files: dict[str, Source] = {
        manifest.golden.file.path: samples,
        manifest.evidence.path: proof,
    }
    files |= {name: opened.path / name for name in vocabularies(manifest)}
    for variant in manifest.variants:
        files |= {entry.path: opened.path / entry.path for entry in variant.files}
    return write_bundle(output, manifest, files)
