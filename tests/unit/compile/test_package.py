# SPDX-License-Identifier: Apache-2.0
"""What is packaged can be opened, and promises what was found and no more."""

from pathlib import Path

import numpy as np
import pytest

from insight_edge.bundle.open import open_bundle
from insight_edge.bundle.write import file_entry
from insight_edge.compile.building.outcome import Built
from insight_edge.compile.job import Artifact
from insight_edge.compile.trials.package import MEAN_TOLERANCE, TOLERANCE, Part, package
from insight_edge.compile.trials.question import ask
from insight_edge.documents.evidence import Evidence
from insight_edge.documents.facts import Facts
from insight_edge.documents.manifest import Provenance, Variant
from insight_edge.documents.target import PRECISIONS, target_from_token
from insight_edge.errors import ConfigurationError, DigestMismatchError
from tests.fakes.sources import samples_of, source_of, table_model, table_rows

SOURCE = source_of(table_model())
QUESTION = ask(SOURCE, samples_of(table_rows(100)))
LARGEST = float(np.abs(QUESTION.golden_answers["logits"]).max())
EVIDENCE = Evidence(
    model_digest=SOURCE.digest,
    profile="box",
    measured_on=Facts(arch="x86_64", cpu_model="c", isa=(), cores=1, memory_bytes=1, os="o"),
    trials=(),
    created="2026-01-01T00:00:00+00:00",
)


def part_of(folder: Path, token: str, *, scale: float | None = None) -> Part:
    """Return a part of two files; its answers are the source's times `scale`."""
    stem = token.replace(":", "-")
    names = (f"{stem}.xml", f"{stem}.bin")
    for name in names:
        (folder / name).write_bytes(name.encode())
    artifact = Artifact(
        entry=names[0], files=names, settings={"HINT": "f32"}, engine_versions=">=1", isa=("avx2",)
    )
    built = Built(
        artifact=artifact,
        files=tuple(file_entry(name, folder / name) for name in names),
        directory=folder,
        build_s=1.0,
        peak_rss_bytes=1,
        log="",
    )
    answers = {"logits": QUESTION.golden_answers["logits"] * np.float32(scale or 1.0)}
    return Part(target=target_from_token(token), built=built, answers=answers if scale else None)


def packaged(folder: Path, *parts: Part) -> tuple[Variant, ...]:
    package(folder / "b", SOURCE, QUESTION, EVIDENCE, parts, Provenance(reproduce="again"))
    return open_bundle(folder / "b", allow_unsigned=True).manifest.variants


def test_bundle_holds_what_the_question_and_the_parts_say(tmp_path: Path) -> None:
    winner = part_of(tmp_path, "openvino:int8", scale=1.1)
    fallback = part_of(tmp_path, "openvino:fp32", scale=1.0)
    directory = tmp_path / "b"
    digest = package(
        directory, SOURCE, QUESTION, EVIDENCE, [winner, fallback], Provenance(reproduce="again")
    )
    opened = open_bundle(directory, allow_unsigned=True)
    manifest = opened.manifest
    assert opened.digest == digest
    assert opened.evidence() == EVIDENCE
    assert manifest.profile == "box"
    assert manifest.model == SOURCE.described.model
    assert manifest.io.model_inputs == manifest.io.inputs == SOURCE.workload.inputs
    assert manifest.io.model_outputs == manifest.io.outputs == SOURCE.workload.outputs
    assert (manifest.observe, manifest.reference) == (QUESTION.observe, QUESTION.reference)
    assert (manifest.golden.rows, manifest.golden.source) == (16, "data")
    assert manifest.provenance.reproduce == "again"
    assert [v.name for v in manifest.variants] == ["openvino-int8", "openvino-fp32"]
    assert manifest.variants[0].files == winner.built.files
    assert manifest.variants[0].settings == {"HINT": "f32"}
    assert manifest.variants[0].isa == ("avx2",)


def test_golden_answers_are_the_variants_own_beside_the_sources(tmp_path: Path) -> None:
    packaged(tmp_path, part_of(tmp_path, "openvino:int8", scale=1.1))
    golden = open_bundle(tmp_path / "b", allow_unsigned=True).golden()
    source = QUESTION.golden_answers["logits"]
    assert np.array_equal(golden.inputs["x"], QUESTION.golden_rows["x"])
    assert np.array_equal(golden.outputs["logits"], source)
    assert np.array_equal(golden.expected("openvino-int8")["logits"], source * np.float32(1.1))


def test_draft_of_a_part_that_was_not_asked_expects_the_sources_answers(tmp_path: Path) -> None:
    [variant] = packaged(tmp_path, part_of(tmp_path, "openvino:int8"))
    golden = open_bundle(tmp_path / "b", allow_unsigned=True).golden()
    assert golden.answers == {}
    assert variant.tolerance == pytest.approx(TOLERANCE["int8"] * LARGEST)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_tolerances_are_shares_of_the_variants_largest_answer(
    tmp_path: Path, precision: str
) -> None:
    part = part_of(tmp_path, f"openvino:{precision}", scale=2.0)
    [variant] = packaged(tmp_path, part)
    kind = part.target.precision
    assert variant.tolerance == pytest.approx(TOLERANCE[kind] * 2 * LARGEST)
    assert variant.mean_tolerances == {"logits": pytest.approx(MEAN_TOLERANCE[kind] * 2 * LARGEST)}
    assert MEAN_TOLERANCE[kind] < TOLERANCE[kind]


@pytest.mark.parametrize(
    ("answers", "largest"),
    [
        ([0.0, 0.0], 1.0),
        ([np.nan, 3.0], 3.0),
        ([np.inf, -2.0], 2.0),
        ([np.nan, np.nan], 1.0),
    ],
)
def test_answers_that_are_no_numbers_leave_a_tolerance(
    tmp_path: Path, answers: list[float], largest: float
) -> None:
    column = np.resize(np.array(answers, np.float32), (16, 3))
    part = part_of(tmp_path, "openvino:fp32", scale=1.0)
    spoiled = Part(target=part.target, built=part.built, answers={"logits": column})
    [variant] = packaged(tmp_path, spoiled)
    assert variant.tolerance == pytest.approx(TOLERANCE["fp32"] * largest)


def test_artifact_that_changed_since_it_was_built_is_not_packaged(tmp_path: Path) -> None:
    part = part_of(tmp_path, "openvino:fp32", scale=1.0)
    (tmp_path / "openvino-fp32.bin").write_bytes(b"openvino-fp32.nib")
    with pytest.raises(DigestMismatchError, match=r"openvino-fp32\.bin"):
        packaged(tmp_path, part)
    assert not (tmp_path / "b").exists()


def test_bundle_is_replaced_and_anything_else_is_not(tmp_path: Path) -> None:
    part = part_of(tmp_path, "openvino:fp32", scale=1.0)
    packaged(tmp_path, part)
    packaged(tmp_path, part)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigurationError, match="not a whole bundle"):
        package(tmp_path / "other", SOURCE, QUESTION, EVIDENCE, [part], Provenance())
    assert (tmp_path / "other" / "thesis.txt").read_text() == "mine"
