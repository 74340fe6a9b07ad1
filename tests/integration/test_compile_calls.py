# SPDX-License-Identifier: Apache-2.0
"""A model that takes a state and a number goes all the way: read, built, proven, asked in turn."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray

from insight_edge.bundle.npz import npz_from_arrays
from insight_edge.compile.reading import read_source
from insight_edge.errors import TensorMismatchError
from insight_edge.runtime import Runtime
from tests.fakes.programs import insight_edge
from tests.fakes.stateful_models import LAYERS, RATE, UNITS, calls, listening_model

pytestmark = pytest.mark.slow

WHY = "is one whole call, since input 'sr' is a single number"
TURNS = 12


def turns_of(model: Path) -> list[Sequence[NDArray[Any]]]:
    """Return what the original answers in turn, its state fed back."""
    session = onnxruntime.InferenceSession(model)
    state, rows, found = np.zeros((LAYERS, 1, UNITS), np.float32), calls(TURNS), []
    for x, rate in zip(rows["x"], rows["sr"], strict=True):
        fed = {"x": x, "state": state, "sr": np.asarray(rate)}
        found.append(session.run(["speech", "state_new"], fed))
        state = found[-1][1]
    return found


def compiled(folder: Path, profile: Path, *words: str) -> Path:
    """Return the bundle of the model in a folder, made with the calls in it if there are any."""
    rows = ("--calibration", "calls.npz") if (folder / "calls.npz").exists() else ()
    done = insight_edge(
        "compile", "-m", "m.onnx", "--profile", profile, "-o", "bundle", *rows, *words,
        "--rounds", "5", "--repair", "0", cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert WHY in " ".join(done.stderr.split())
    return folder / "bundle"


@pytest.mark.parametrize("target", ["onnxruntime:fp32", "openvino:fp32"])
@pytest.mark.parametrize("branches", [True, False])
def test_calls_in_turn_are_answered_as_by_the_original(
    tmp_path: Path, here: Path, target: str, branches: bool
) -> None:
    onnx.save(listening_model(branches=branches), tmp_path / "m.onnx")
    bundle = compiled(tmp_path, here, "--target", target, "--accept-unproven")
    rows = calls(TURNS)
    state = np.zeros((1, LAYERS, 1, UNITS), np.float32)
    with Runtime.open(bundle, allow_unsigned=True) as runtime:
        for turn, wanted in enumerate(turns_of(tmp_path / "m.onnx")):
            one = {name: array[turn : turn + 1] for name, array in rows.items()}
            found = runtime.infer(one | {"state": state}).outputs
            state = found["state_new"]
            for name, answer in zip(("speech", "state_new"), wanted, strict=True):
                np.testing.assert_allclose(found[name][0], answer, rtol=0, atol=1e-5)
        with pytest.raises(TensorMismatchError, match=r"'sr': expected int64 \(1\), found rank 0"):
            runtime.infer({**one, "state": state, "sr": np.asarray(RATE)})


def test_int8_is_made_of_stacked_calls_and_every_verb_takes_the_bundle(
    tmp_path: Path, here: Path
) -> None:
    onnx.save(listening_model(), tmp_path / "m.onnx")
    (tmp_path / "calls.npz").write_bytes(npz_from_arrays(calls(400)))
    precise = ("--target", "onnxruntime:fp32", "--target", "onnxruntime:int8")
    bundle = compiled(tmp_path, here, *precise)
    shown = json.loads(insight_edge("inspect", bundle, "--format", "json", cwd=tmp_path).stdout)
    inputs = {spec["name"]: spec["shape"] for spec in shown["manifest"]["io"]["inputs"]}
    assert inputs == {"x": [1, 1, 64], "state": [1, LAYERS, 1, UNITS], "sr": [1]}
    assert {trial["status"] for trial in shown["evidence"]["trials"]} == {"built"}
    checked = insight_edge(
        "check", "-m", "m.onnx", "--profile", here, "--format", "md", cwd=tmp_path
    )
    assert WHY in checked.stdout
    assert WHY in insight_edge("inspect", bundle, cwd=tmp_path).stdout
    for words in (("verify", bundle), ("verify", bundle, "--layers", "-m", "m.onnx")):
        done = insight_edge(*words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    (tmp_path / "in.npz").write_bytes(npz_from_arrays(calls(3)))
    done = insight_edge("run", bundle, "--input", "in.npz", "-o", "out.npz", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "out.npz") as answered:
        assert answered["state_new"].shape == (3, LAYERS, 1, UNITS)


def test_description_beside_the_model_is_of_calls(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(listening_model(), path)
    bare = read_source(path)
    document = {
        "model": {"name": "listener", "version": 3, "digest": bare.digest, "task": "speech"},
        "inputs": [{"name": "x", "dtype": "float32", "shape": [1, 1, 64]},
                   {"name": "state", "dtype": "float32", "shape": [1, 2, 1, 16]},
                   {"name": "sr", "dtype": "int64", "shape": [1]}],
        "outputs": [{"name": "speech", "dtype": "float32", "shape": [1, 1, 1]}],
    }  # fmt: skip
    path.with_suffix(".json").write_text(json.dumps(document))
    source = read_source(path)
    assert source.described.model.name == "listener"
    assert source.data == bare.data
