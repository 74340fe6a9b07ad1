# SPDX-License-Identifier: Apache-2.0
"""The verb `compile` with small models: what it is told to do, and what it is told wrongly."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from insight_edge.bundle.open import open_bundle
from insight_edge.documents.codec import decode_json
from insight_edge.documents.manifest import Manifest
from insight_edge.documents.target import Target
from tests.fakes.onnx_models import conv_model, model_of, value
from tests.fakes.programs import Finished, insight_edge, remarks
from tests.fakes.sources import table_model, table_rows

FP32 = ("--target", "onnxruntime:fp32", "--rounds", "5")

pytestmark = pytest.mark.slow


@pytest.fixture
def place(tmp_path: Path, here: Path) -> Path:
    """Return a directory with two models, rows, and the profiles `here` and `there`."""
    onnx.save(table_model(), tmp_path / "table.onnx")
    onnx.save(conv_model(), tmp_path / "conv.onnx")
    np.savez(tmp_path / "rows.npz", x=table_rows(500))
    profile = here.read_text()
    (tmp_path / "here.toml").write_text(profile)
    (tmp_path / "there.toml").write_text(profile.replace('id = "here"', 'id = "there"'))
    return tmp_path


def compile_(place: Path, *arguments: str, model: str = "table.onnx") -> Finished:
    return insight_edge("compile", "-m", model, *arguments, cwd=place)


def trials_of(done: Finished) -> dict[str, Any]:
    trials = json.loads(done.stdout)
    return {decode_json(Target, json.dumps(t["target"]).encode()).token: t for t in trials}


def manifest_of(bundle: Path) -> Manifest:
    return open_bundle(bundle, allow_unsigned=True).manifest


def complaint(done: Finished, code: int) -> tuple[str, str]:
    """Return the one line of a mistake and its hint, after looking that nothing else is said."""
    assert done.returncode == code, done.stderr
    error, *hints = remarks(done.stderr)
    assert error.startswith("error: ")
    assert len(hints) <= 1
    assert all(hint.startswith("hint: ") for hint in hints)
    return error, "".join(hints)


def test_one_call_compiles_for_each_profile(place: Path) -> None:
    both = ("--profile", "here.toml", "--profile", "there.toml")
    done = compile_(place, *both, *FP32, "--calibration", "rows.npz", "-o", "out/{profile}.b")
    assert done.returncode == 0, done.stderr
    for name in ("here", "there"):
        assert manifest_of(place / "out" / f"{name}.b").profile == name
        assert f"Trials for {name}" in done.stdout
    assert [line.split(":")[0] for line in remarks(done.stderr)] == [
        "out/here.b",
        "out/there.b",
    ]


@pytest.mark.parametrize(
    ("profiles", "output"),
    [(("here.toml", "there.toml"), "b"), (("here.toml", "here.toml"), "{profile}.b")],
)
def test_one_output_for_two_profiles_is_a_mistake(
    place: Path, profiles: tuple[str, str], output: str
) -> None:
    flags = [word for name in profiles for word in ("--profile", name)]
    error, hint = complaint(compile_(place, *flags, "-o", output), 2)
    assert "one output for 2 profiles" in error
    assert "{profile}" in hint


def test_only_the_targets_named_are_tried(place: Path) -> None:
    done = compile_(place, "--profile", "here.toml", *FP32, "--calibration", "rows.npz",
                    "--format", "json", "-o", "b")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert list(trials_of(done)) == ["onnxruntime:fp32"]
    assert [v.name for v in manifest_of(place / "b").variants] == ["onnxruntime-fp32"]


@pytest.mark.parametrize(
    ("target", "said"),
    [("onnxruntime", "is not a target"), ("onnxruntime:fp64", "is not a target"),
     ("onnxrutime:fp32", "no backend offers"), ("tvm:int8", "no backend offers")],
)  # fmt: skip
def test_target_that_does_not_exist_is_a_mistake(place: Path, target: str, said: str) -> None:
    done = compile_(place, "--profile", "here.toml", "--target", target, "-o", "b")
    error, hint = complaint(done, 2)
    assert said in error
    assert hint


def test_without_rows_int8_is_refused_and_fp32_is_unproven(place: Path) -> None:
    flags = ("--profile", "here.toml", "--rounds", "5", "--format", "json", "-o", "b")
    done = compile_(place, *flags, model="conv.onnx")
    error, hint = complaint(done, 1)
    assert "UNPROVEN: need 299 more" in error
    assert "--accept-unproven" in hint
    assert not (place / "b").exists()
    trials = trials_of(done)
    assert trials["onnxruntime:fp32"]["proof"]["need_rows"] == 299
    refused = [t for t in trials.values() if t["target"]["precision"] == "int8"]
    assert {trial["status"] for trial in refused} == {"refused"}
    if "int8" in (place / "here.toml").read_text():
        assert {trials[f"{engine}:int8"]["reason"] for engine in ("onnxruntime", "openvino")} == {
            "INT8 needs rows to calibrate with (--calibration x.npz)"
        }


def test_unproven_is_shipped_where_accepted_and_says_what_it_lacks(place: Path) -> None:
    done = compile_(place, "--profile", "here.toml", *FP32, "--accept-unproven", "-o", "b")
    assert done.returncode == 0, done.stderr
    manifest = manifest_of(place / "b")
    assert (manifest.golden.source, manifest.reference) == ("random", None)
    assert manifest.variants[0].decision.startswith("won: unproven, accepted")
    shown = insight_edge("inspect", "b", cwd=place)
    assert "16 rows of random" in shown.stdout
    verified = insight_edge("verify", "b", cwd=place)
    assert (verified.returncode, verified.stderr) == (0, "")


def test_budget_that_the_rows_cannot_prove_asks_for_more(place: Path) -> None:
    done = compile_(place, "--profile", "here.toml", *FP32, "--calibration", "rows.npz",
                    "--max-drop", "0.01", "-o", "b")  # fmt: skip
    error, hint = complaint(done, 1)
    found = re.search(r"UNPROVEN: need (\d+) more", error)
    assert found is not None
    # 29956 rows in all, of which 375 are there: ln 0.05 / ln 0.9999, rounded up.
    assert int(found[1]) == 29956 - 375
    assert f"give {found[1]} more verification rows" in hint
    assert "onnxruntime:fp32" in done.stdout


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--profile", "h200-sxm"), "cannot stand in for h200-sxm"),
        (("--profile", "rpi5-8g"), "rpi5-8g"),
        (("--profile", "nowhere.toml"), "nowhere.toml"),
        (("--profile", "here.toml", "--calibration", "nowhere.npz"), "nowhere.npz: no such file"),
        (("--profile", "here.toml", "--calibration", "table.onnx"), "not an .npz"),
        (("--profile", "here.toml", "--calibration", "other.npz"), "'z' belongs to no input"),
        (("--profile", "here.toml", "--calibration", "short.npz"), "nx4 float32"),
        (("--profile", "here.toml", "--max-drop", "-1"), "-1 percentage points"),
        (("--profile", "here.toml", "--max-drop", "nan"), "nan percentage points"),
        (("--profile", "here.toml", "--threads", "0"), "threads is 0"),
        (("--profile", "here.toml", "--rounds", "4"), "rounds is 4, at least 5"),
    ],
)
def test_mistake_is_one_line_and_nothing_is_written(
    place: Path, flags: tuple[str, ...], said: str
) -> None:
    np.savez(place / "other.npz", z=table_rows(5))
    np.savez(place / "short.npz", x=table_rows(5, 3))
    before = {path.name for path in place.iterdir()}
    done = compile_(place, *flags, "-o", "b")
    error, _ = complaint(done, 2)
    assert said in error
    assert done.stdout == ""
    assert {path.name for path in place.iterdir()} == before


def test_profile_with_a_slip_in_its_name_is_met_with_the_nearest(place: Path) -> None:
    _, hint = complaint(compile_(place, "--profile", "rpi5-8g", "-o", "b"), 2)
    assert "rpi5-8gb" in hint


@pytest.mark.parametrize(
    ("name", "data"),
    [("m.onnx", b""), ("m.onnx", b"no protobuf at all"), ("m.txt", b"x"), ("m.onnx", None)],
)
def test_model_that_is_none_is_a_mistake(place: Path, name: str, data: bytes | None) -> None:
    if data is not None:
        (place / name).write_bytes(data)
    done = compile_(place, "--profile", "here.toml", "-o", "b", model=name)
    error, _ = complaint(done, 2)
    assert name in error


def test_model_whose_outputs_have_other_rows_is_a_mistake(place: Path) -> None:
    nodes = [onnx.helper.make_node("ReduceMean", ["x"], ["y"], keepdims=1)]
    model = model_of(nodes, [value("x", ("batch", 4))], [value("y", ("one", 1))])
    onnx.save(model, place / "mean.onnx")
    done = compile_(place, "--profile", "here.toml", "-o", "b", model="mean.onnx")
    error, hint = complaint(done, 2)
    assert "output 'y'" in error
    assert "batch" in hint


def test_output_that_is_something_else_is_refused_before_anything_is_built(place: Path) -> None:
    (place / "mine").mkdir()
    (place / "mine" / "thesis.txt").write_text("mine")
    done = compile_(place, "--profile", "here.toml", "-o", "mine", model="nowhere.onnx")
    error, hint = complaint(done, 2)
    assert "not a whole bundle" in error
    assert "name another directory" in hint
    assert (place / "mine" / "thesis.txt").read_text() == "mine"


def test_nan_in_the_input_is_answered(place: Path) -> None:
    done = compile_(place, "--profile", "here.toml", *FP32, "--calibration", "rows.npz", "-o", "b")
    assert done.returncode == 0, done.stderr
    rows = table_rows(70)
    rows[3, 1] = np.nan
    np.savez(place / "x.npz", x=rows)
    ran = insight_edge("run", "b", "--input", "x.npz", "-o", "y.npz", cwd=place)
    assert ran.returncode == 0, ran.stderr
    with np.load(place / "y.npz", allow_pickle=False) as answers:
        missing = np.isnan(answers["logits"]).any(axis=1)
    assert np.flatnonzero(missing).tolist() == [3]


def test_bundle_of_an_earlier_call_is_replaced_and_its_builds_are_kept(place: Path) -> None:
    flags = ("--profile", "here.toml", *FP32, "--calibration", "rows.npz", "--cache", "kept")
    digests = set()
    for _ in range(2):
        done = compile_(place, *flags, "-o", "b")
        assert done.returncode == 0, done.stderr
        digests.add(open_bundle(place / "b", allow_unsigned=True).digest)
    assert len(digests) == 2
    # What builds share and how long they took lies beside the one that is kept.
    assert len({path.name for path in (place / "kept").iterdir()} - {"shared"}) == 1
