# SPDX-License-Identifier: Apache-2.0
"""Static INT8 of TFLite: ranges, scales, outputs that are something else too, rows that are NaN."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper

from insight_edge.compile.building.outcome import Built, Failed
from insight_edge.compile.graph.shapes import specs_of
from tests.fakes.device_packages import device_python
from tests.fakes.onnx_models import model_of, value, weights_of
from tests.fakes.tflite_builds import answered, built

pytestmark = pytest.mark.slow

ROWS = np.random.default_rng(0).normal(size=(32, 8)).astype(np.float32)
ROWS[0] *= 4
"""The first reaches further than all others, which an average of ranges would cut off."""


def layered(
    outputs: dict[str, int], *others: NodeProto, inside: tuple[str, str] = ("Identity", "Relu")
) -> ModelProto:
    """Return two layers, `h` to `r` to `y`, with operators beside them and these outputs."""
    nodes = [
        helper.make_node("Gemm", ["x", "w1"], ["h"]),
        helper.make_node(inside[0], ["h"], ["i"]),
        helper.make_node(inside[1], ["i"], ["r"]),
        helper.make_node("Gemm", ["r", "w2"], ["y"]),
        *others,
    ]
    given = [value(name, ("batch", size)) for name, size in outputs.items()]
    return model_of(nodes, [value("x", ("batch", 8))], given, weights_of(0, w1=(8, 16), w2=(16, 4)))


MODELS = {
    "read by a product": layered({"r": 16, "y": 4}),
    "read by a softmax": layered({"y": 4, "p": 4}, helper.make_node("Softmax", ["y"], ["p"])),
    "a product without a bias": model_of(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        [value("x", ("batch", 8))],
        [value("y", ("batch", 16))],
        weights_of(0, w=(8, 16)),
    ),
    "an input": layered({"x": 8, "y": 4}),
    "an input by another name": layered(
        {"z": 8, "y": 4}, helper.make_node("Identity", ["x"], ["z"])
    ),
}


def answers_of(model: ModelProto, rows: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    names = [spec.name for spec in specs_of(model)[1]]
    return dict(zip(names, session.run(names, {"x": rows}), strict=True))


@pytest.mark.parametrize("name", MODELS)
def test_answers_are_nearly_those_of_the_model(name: str, tmp_path: Path) -> None:
    python = device_python("tflite")
    if python is None:
        pytest.skip("the environment 'device-tflite' is not installed")
    outcome = built(MODELS[name], tmp_path, "tflite:int8", rows={"x": ROWS})
    assert isinstance(outcome, Built), outcome
    first, again = answered(python, MODELS[name], outcome, {"x": ROWS[:5]})
    for output, wanted in answers_of(MODELS[name], ROWS[:5]).items():
        np.testing.assert_allclose(first[output], wanted, atol=0.05 * np.abs(wanted).max())
        np.testing.assert_array_equal(first[output], again[output])


@pytest.mark.parametrize("op", ["Abs", "LogSoftmax"])
def test_rows_that_are_nan_inside_are_told_with_the_tensor(op: str, tmp_path: Path) -> None:
    outcome = built(
        layered({"y": 4}, inside=("Log", op)), tmp_path, "tflite:int8", rows={"x": ROWS}
    )
    assert isinstance(outcome, Failed)
    assert "is NaN or infinite on the calibration rows" in outcome.reason
    assert {"Abs": "tensor 'y'", "LogSoftmax": "LogSoftmax"}[op] in outcome.reason
    assert "tflite:int8+dynamic" in outcome.reason


@pytest.mark.parametrize("inputs", [16, 200], ids=["in the tables", "behind the tables"])
def test_zero_points_are_in_the_file_once(inputs: int, tmp_path: Path) -> None:
    """The quantiser writes weights of 256 KiB and more behind the tables, smaller ones inside."""
    python = device_python("tflite")
    if python is None:
        pytest.skip("the environment 'device-tflite' is not installed")
    channels = 2048
    model = model_of(
        [helper.make_node("Gemm", ["x", "w", "b"], ["y"])],
        [value("x", ("batch", inputs))],
        [value("y", ("batch", channels))],
        weights_of(0, w=(inputs, channels), b=(channels,)),
    )
    rows = np.random.default_rng(0).normal(size=(32, inputs)).astype(np.float32)
    outcome = built(model, tmp_path, "tflite:int8", rows={"x": rows})
    assert isinstance(outcome, Built), outcome
    weights, biases, scales, zero_points = inputs, 4, 2 * 4, 8
    least = channels * (weights + biases + scales + zero_points)
    size = (outcome.directory / outcome.artifact.entry).stat().st_size
    assert least < size < least + channels * zero_points
    [wanted] = answers_of(model, rows[:5]).values()
    [given] = answered(python, model, outcome, {"x": rows[:5]})[0].values()
    np.testing.assert_allclose(given, wanted, atol=0.05 * np.abs(wanted).max())
