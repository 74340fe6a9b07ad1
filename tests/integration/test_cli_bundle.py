# SPDX-License-Identifier: Apache-2.0
"""From a trained model to answers, verb by verb, as a user types them."""

import csv
import hashlib
import io
import json
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from insight_edge import __version__
from insight_edge.bundle.limits import MANIFEST_NAME
from insight_edge.bundle.open import open_bundle
from insight_edge.bundle.write import file_entry
from insight_edge.documents.codec import decode_json, encode_json, from_plain
from insight_edge.documents.source import SourceDescription
from insight_edge.documents.steps import Scale
from insight_edge.documents.target import Target
from insight_edge.transforms.executor import run
from tests.fakes.onnx_models import conv_model
from tests.fakes.programs import Finished, insight_edge, remarks

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Made:
    """A bundle that the program compiled, and what it was made of."""

    folder: Path
    trained: Path
    compiled: Finished

    @property
    def bundle(self) -> Path:
        return self.folder / "digits.bundle"

    def copy(self, place: Path) -> Path:
        return Path(shutil.copytree(self.bundle, place / "copy"))

    def rows(self) -> dict[str, NDArray[Any]]:
        with np.load(self.trained / "data.npz", allow_pickle=False) as data:
            return {"image": data["image"][data["verification"]][:100]}

    def source_answers(self, rows: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        described = decode_json(SourceDescription, (self.trained / "model.json").read_bytes())
        session = onnxruntime.InferenceSession(
            self.trained / "model.onnx", providers=["CPUExecutionProvider"]
        )
        [logits] = session.run(["logits"], {"x": run(described.pre, rows)["x"]})
        return run(described.post, {"logits": logits})


@pytest.fixture(scope="module")
def made(trained: Path, here: Path, builds: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("made")
    done = insight_edge(
        "compile", "-m", trained / "model.onnx", "--profile", here,
        "--calibration", trained / "data.npz", "--max-drop", "5", "--rounds", "5",
        "--cache", builds, "--format", "json", "-o", "digits.bundle",
        cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Made(folder=folder, trained=trained, compiled=done)


def complaint(done: Finished, code: int) -> str:
    """Return the one line of a mistake, after looking at all that is said beside it."""
    assert done.returncode == code, done.stderr
    lines = remarks(done.stderr)
    assert lines[0].startswith("error: ")
    assert [line.split(":")[0] for line in lines[1:]] in ([], ["hint"])
    return lines[0]


def test_compile_tries_every_target_and_says_what_became_of_it(made: Made) -> None:
    trials = {
        from_plain(Target, trial["target"]).token: trial
        for trial in json.loads(made.compiled.stdout)
    }
    assert {"onnxruntime:fp32", "openvino:fp32", "openvino:bf16"} <= trials.keys()
    assert trials["onnxruntime:fp32"]["status"] == "built"
    assert all(trial["reason"] for trial in trials.values())
    assert all(
        "--target" in trial["reproduce"] or "try it with --target" in trial["reason"]
        for trial in trials.values()
    )
    built = [trial for trial in trials.values() if trial["status"] == "built"]
    assert all(trial["proof"]["rows"] == 360 for trial in built)
    assert all(trial["measurement"]["rounds"] == 5 for trial in built)
    chosen = [trial for trial in trials.values() if trial["chosen"]]
    assert sum(trial["reason"].startswith("won: proven") for trial in chosen) == 1
    assert "fp32" in {trial["target"]["precision"] for trial in chosen}
    assert len(remarks(made.compiled.stderr)) == 1


def test_inspect_shows_the_same_in_every_format(made: Made) -> None:
    opened = open_bundle(made.bundle, allow_unsigned=True)
    by_format = {
        name: insight_edge("inspect", "digits.bundle", "--format", name, cwd=made.folder)
        for name in ("table", "json", "csv", "md")
    }
    assert {(done.returncode, done.stderr) for done in by_format.values()} == {(0, "")}
    document = json.loads(by_format["json"].stdout)
    assert document["digest"] == opened.digest
    assert document["manifest"]["profile"] == "here"
    trials = opened.evidence().trials
    tokens = [trial.target.token for trial in trials]
    assert [t["reason"] for t in document["evidence"]["trials"]] == [t.reason for t in trials]
    rows = list(csv.DictReader(io.StringIO(by_format["csv"].stdout)))
    assert [row["target"] for row in rows] == tokens
    assert [row["why"] for row in rows] == [trial.reason for trial in trials]
    assert [
        line.split("|")[2].strip() for line in by_format["md"].stdout.splitlines()[2:]
    ] == tokens
    table = by_format["table"].stdout
    assert opened.digest in table
    assert "image uint8 (batch, 8, 8)" in table
    assert "16 rows of data" in table
    assert all(token in table for token in tokens)


def test_manifest_can_be_made_again_from_what_it_says(made: Made) -> None:
    provenance = open_bundle(made.bundle, allow_unsigned=True).manifest.provenance
    assert provenance.reproduce.startswith(f"insight-edge compile -m {made.trained}/model.onnx")
    assert provenance.reproduce.endswith("-o digits.bundle")
    assert provenance.toolchain["onnx"]
    assert all(lock.startswith("sha256:") for lock in provenance.lock_digests.values())
    assert all(code.startswith("sha256:") for code in provenance.code_digests.values())
    assert provenance.code_digests.keys() == provenance.lock_digests.keys()
    digest = hashlib.sha256((made.trained / "model.onnx").read_bytes()).hexdigest()
    assert provenance.source_digest == f"sha256:{digest}"
    assert (provenance.release, provenance.importer) == (__version__, "onnx")
    assert provenance.processor.startswith(platform.machine())


def test_verify_agrees_with_every_variant(made: Made) -> None:
    done = insight_edge("verify", "digits.bundle", "--format", "json", cwd=made.folder)
    assert (done.returncode, done.stderr) == (0, "")
    names = [v.name for v in open_bundle(made.bundle, allow_unsigned=True).manifest.variants]
    assert [(row["variant"], row["verdict"]) for row in json.loads(done.stdout)] == [
        (name, "AGREES") for name in names
    ]


def test_verify_of_a_variant_that_is_not_there_is_a_mistake(made: Made) -> None:
    done = insight_edge("verify", "digits.bundle", "--variant", "tvm-fp32", cwd=made.folder)
    assert "tvm-fp32" in complaint(done, 2)


def test_run_gives_the_answers_of_the_source_model(made: Made, tmp_path: Path) -> None:
    rows = made.rows()
    np.savez(tmp_path / "x.npz", labels=np.zeros(3), **rows)  # type: ignore[arg-type]
    names = [
        v.name
        for v in open_bundle(made.bundle, allow_unsigned=True).manifest.variants
        if v.target.precision == "fp32"
    ]
    done = insight_edge(
        "run", made.bundle, "--input", "x.npz", "-o", "y.npz", "--variant", names[0], cwd=tmp_path
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "100 rows through digits (unsigned) → y.npz\n"
    expected = made.source_answers(rows)
    with np.load(tmp_path / "y.npz", allow_pickle=False) as found:
        assert set(found.files) == {"probabilities", "class", "label"}
        assert np.allclose(found["probabilities"], expected["probabilities"], atol=1e-4)
        assert np.array_equal(found["class"], expected["class"])
        assert np.array_equal(found["label"], expected["label"])


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"picture": np.zeros((2, 8, 8), np.uint8)}, "input 'image' is missing"),
        ({"image": np.zeros((2, 8, 8), np.float32)}, "found float32"),
        ({"image": np.zeros((2, 8, 9), np.uint8)}, "'image'"),
        ({"image": np.zeros((2, 64), np.uint8)}, "'image'"),
        ({"image": np.zeros((0, 8, 8), np.uint8)}, "'image' has 0 rows"),
        ({"image": np.uint8(3)}, "'image' has 0 rows"),
    ],
)
def test_run_names_the_array_that_is_wrong(
    made: Made, tmp_path: Path, arrays: dict[str, Any], said: str
) -> None:
    np.savez(tmp_path / "x.npz", **arrays)
    done = insight_edge("run", made.bundle, "--input", "x.npz", "-o", "y.npz", cwd=tmp_path)
    assert said in complaint(done, 2)
    assert done.stdout == ""
    assert [path.name for path in tmp_path.iterdir()] == ["x.npz"]


def test_run_refuses_a_file_that_is_no_npz(made: Made, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2, 8, 8), np.uint8))
    for name, said in (("x.npy", "not an .npz"), ("nowhere.npz", "no such file")):
        done = insight_edge("run", made.bundle, "--input", name, "-o", "y.npz", cwd=tmp_path)
        assert said in complaint(done, 2)


def damaged(bundle: Path, name: str) -> None:
    """Flip one bit in the middle of a file."""
    data = bytearray((bundle / name).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / name).write_bytes(data)


@pytest.mark.parametrize("which", ["artifact", "golden", "evidence"])
def test_one_flipped_bit_is_a_mistake_for_every_verb(
    made: Made, tmp_path: Path, which: str
) -> None:
    bundle = made.copy(tmp_path)
    manifest = open_bundle(bundle, allow_unsigned=True).manifest
    name = {
        "artifact": manifest.variants[0].entry,
        "golden": manifest.golden.file.path,
        "evidence": manifest.evidence.path,
    }[which]
    damaged(bundle, name)
    np.savez(tmp_path / "x.npz", **made.rows())  # type: ignore[arg-type]
    for verb in (["inspect"], ["verify"], ["run", "--input", "x.npz", "-o", "y.npz"]):
        done = insight_edge(verb[0], bundle, *verb[1:], cwd=tmp_path)
        assert name in complaint(done, 2)
        assert done.stdout == ""
    assert not (tmp_path / "y.npz").exists()


def test_whole_bundle_that_answers_otherwise_fails_its_verification(
    made: Made, tmp_path: Path
) -> None:
    bundle = made.copy(tmp_path)
    opened = open_bundle(bundle, allow_unsigned=True)
    scale = next(step for step in opened.manifest.pre if isinstance(step, Scale))
    louder = msgspec.structs.replace(scale, factor=1.05 * scale.factor)
    pre = tuple(louder if step is scale else step for step in opened.manifest.pre)
    changed = msgspec.structs.replace(opened.manifest, pre=pre)
    (bundle / MANIFEST_NAME).write_bytes(encode_json(changed))
    done = insight_edge("verify", "copy", "--format", "json", cwd=tmp_path)
    assert "does not answer as it was proven to" in complaint(done, 1)
    verdicts = {row["verdict"] for row in json.loads(done.stdout)}
    assert verdicts == {"DISAGREES"}
    np.savez(tmp_path / "x.npz", **made.rows())  # type: ignore[arg-type]
    done = insight_edge("run", "copy", "--input", "x.npz", "-o", "y.npz", cwd=tmp_path)
    assert "golden samples" in complaint(done, 1)


def test_engine_that_is_not_there_is_missing(made: Made, tmp_path: Path) -> None:
    bundle = made.copy(tmp_path)
    manifest = open_bundle(bundle, allow_unsigned=True).manifest
    variants = tuple(
        msgspec.structs.replace(v, engine_versions=">=9999") for v in manifest.variants
    )
    changed = msgspec.structs.replace(manifest, variants=variants)
    (bundle / MANIFEST_NAME).write_bytes(encode_json(changed))
    done = insight_edge("verify", "copy", "--format", "json", cwd=tmp_path)
    assert ">=9999" in complaint(done, 4)
    assert {row["verdict"] for row in json.loads(done.stdout)} == {"MISSING"}


def test_no_file_of_the_bundle_is_one_nobody_named(made: Made) -> None:
    manifest = open_bundle(made.bundle, allow_unsigned=True).manifest
    named = {MANIFEST_NAME, manifest.golden.file.path, manifest.evidence.path}
    named |= {file.path for variant in manifest.variants for file in variant.files}
    assert {path.name for path in made.bundle.iterdir()} == named
    for variant in manifest.variants:
        assert all(file_entry(f.path, made.bundle / f.path) == f for f in variant.files)


def test_inspect_shows_what_a_model_asks_in_every_format(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(conv_model().SerializeToString())
    shown = {
        name: insight_edge("inspect", "m.onnx", "--layers", "--format", name, cwd=tmp_path)
        for name in ("table", "json", "csv", "md")
    }
    assert {done.returncode for done in shown.values()} == {0}
    assert "8 operators: 2 Conv, 2 Relu" in shown["table"].stdout
    workload = json.loads(shown["json"].stdout)["workload"]
    assert [operation["op"] for operation in workload["operations"]][:2] == ["Conv", "Relu"]
    for name in ("table", "csv", "md"):
        assert "GlobalAveragePool_5" in shown[name].stdout
    (tmp_path / "m.onnx").write_bytes(b"none")
    assert insight_edge("inspect", "m.onnx", cwd=tmp_path).returncode == 2
