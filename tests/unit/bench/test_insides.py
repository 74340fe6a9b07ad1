# SPDX-License-Identifier: Apache-2.0
"""Looking inside an artifact from a child process, and all that may become of that."""

from pathlib import Path

import numpy as np
import pytest

from insight_edge.bench.insides import ask_outputs, look_inside
from insight_edge.bundle.open import open_bundle
from insight_edge.errors import (
    ConfigurationError,
    DigestMismatchError,
    InferenceFailedError,
    MeasurementError,
)
from insight_edge.runtime.insides import first_known, model_rows
from tests.fakes.engine_bundles import (
    ROWS,
    install_fake_engine,
    onnx_artifact,
    rows_of,
    weights_of,
    write_engine_bundle,
    write_fake_bundle,
)

WEIGHTS = weights_of(0)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    artifact = onnx_artifact(WEIGHTS)
    write_engine_bundle(tmp_path / "b", "onnxruntime", artifact, WEIGHTS)
    return tmp_path / "b"


def test_tensors_inside_come_under_the_names_that_were_asked_for(bundle: Path) -> None:
    rows = rows_of(1, 3)
    wanted = {"mine": ("nobody", "product"), "linear": ("linear",), "gone": ("fused",), "y": ("y",)}
    found = look_inside(bundle, "onnxruntime-fp32", inputs=rows, wanted=wanted).tensors
    assert found is not None
    assert found.keys() == {"mine", "linear", "y"}
    product = np.einsum("ni,ij->nj", rows["x"], WEIGHTS)
    assert np.allclose(found["mine"], product, atol=1e-5)
    assert np.allclose(found["linear"], product + rows["shift"], atol=1e-5)


def test_steps_are_told_with_precision_and_place(bundle: Path) -> None:
    rows = model_rows(open_bundle(bundle, allow_unsigned=True), 2)
    assert {len(array) for array in rows.values()} == {2}
    layers = look_inside(bundle, "onnxruntime-fp32", inputs=rows).layers
    assert layers is not None
    assert {layer.op for layer in layers} >= {"ArgMax", "Relu"}
    assert {layer.placement for layer in layers} == {"CPU"}
    assert {layer.precision for layer in layers} == {"fp32"}


@pytest.mark.parametrize("token", ["onnxruntime", "openvino"])
def test_time_of_steps_is_told_and_is_what_the_work_takes_at_least(
    token: str, tmp_path: Path
) -> None:
    pytest.importorskip(token)
    weights = weights_of(0, 1000, 1000)
    write_engine_bundle(tmp_path / "b", token, onnx_artifact(weights), weights)
    rows = model_rows(open_bundle(tmp_path / "b", allow_unsigned=True), 2)
    layers = look_inside(tmp_path / "b", f"{token}-fp32", inputs=rows).layers
    assert layers is not None
    (product,) = [one for one in layers if one.op in {"Gemm", "FusedMatMul", "FullyConnected"}]
    assert product.time_us is not None
    assert product.time_us > 5, "no processor reads two megabytes in less"
    assert all(one.time_us is None or one.time_us >= 0 for one in layers)


def test_engine_that_cannot_tell_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "installed").mkdir()
    install_fake_engine(tmp_path / "installed", monkeypatch)
    write_fake_bundle(tmp_path / "b")
    for wanted in (None, {"y": ("y",)}):
        found = look_inside(tmp_path / "b", "fake-fp32", inputs=rows_of(1, 2), wanted=wanted)
        assert (found.layers, found.tensors) == (None, None)


def test_what_any_engine_answers_can_be_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "installed").mkdir()
    install_fake_engine(tmp_path / "installed", monkeypatch)
    write_fake_bundle(tmp_path / "b")
    answers = ask_outputs(tmp_path / "b", "fake-fp32", inputs=rows_of(1, 2))
    names = {
        s.name for s in open_bundle(tmp_path / "b", allow_unsigned=True).manifest.io.model_outputs
    }
    assert answers.keys() == names


def test_damage_is_told_as_on_the_device(bundle: Path) -> None:
    path = bundle / "model.onnx"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(DigestMismatchError):
        look_inside(bundle, "onnxruntime-fp32", inputs=rows_of(1, 2))


def test_rows_that_do_not_fit_are_a_failed_inference(bundle: Path) -> None:
    rows = {"x": np.zeros((1, 1), np.float32), "shift": np.zeros((1, 1), np.float32)}
    with pytest.raises(InferenceFailedError, match="cannot be looked into"):
        look_inside(bundle, "onnxruntime-fp32", inputs=rows, wanted={"y": ("y",)})


def test_child_that_dies_hangs_or_is_not_there_is_an_error(bundle: Path, tmp_path: Path) -> None:
    def look(python: Path, timeout_s: float = 60.0) -> None:
        look_inside(
            bundle, "onnxruntime-fp32", python=python, inputs=rows_of(1, 1), timeout_s=timeout_s
        )

    def script(name: str, *lines: str) -> Path:
        path = tmp_path / name
        path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
        path.chmod(0o755)
        return path

    with pytest.raises(ConfigurationError, match="cannot be run"):
        look(tmp_path / "nowhere")
    with pytest.raises(MeasurementError, match="exit code 3: farewell"):
        look(script("dying", "echo farewell >&2", "exit 3"))
    with pytest.raises(MeasurementError, match="no answer within"):
        look(script("hanging", "sleep 100"), timeout_s=0.5)
    with pytest.raises(MeasurementError, match="left no answer"):
        look(script("silent", "exit 0"))


def test_first_name_that_is_known_is_taken() -> None:
    wanted = {"a": ("x", "y"), "b": ("z",)}
    assert first_known(wanted, ["y", "x"]) == {"a": "x"}
    assert first_known(wanted, ["y", "z"]) == {"a": "y", "b": "z"}


def test_fixed_batch_is_filled_or_refused(tmp_path: Path) -> None:
    write_engine_bundle(tmp_path / "b", "onnxruntime", onnx_artifact(WEIGHTS), WEIGHTS, batch=ROWS)
    opened = open_bundle(tmp_path / "b", allow_unsigned=True)
    assert {len(array) for array in model_rows(opened, 1).values()} == {ROWS}
    with pytest.raises(ConfigurationError, match="takes 6 at once"):
        model_rows(opened, 1, rows=rows_of(1, 2))
