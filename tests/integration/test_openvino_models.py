# SPDX-License-Identifier: Apache-2.0
"""Models that OpenVINO's converter leaves something of out, or does not convert as a whole."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

from insight_edge.compile.building.build import build
from insight_edge.compile.building.outcome import Built
from insight_edge.compile.building.preparation import prepare_job
from insight_edge.compile.sources.source import source_from_onnx
from insight_edge.documents.target import Target
from insight_edge.runtime.engines.openvino import OpenVinoSession
from tests.fakes.hardware import profile_of
from tests.fakes.onnx_models import model_of, relu_model, value

openvino = pytest.importorskip("openvino")

pytestmark = pytest.mark.slow

FP32 = Target(backend="openvino", precision="fp32")


def built(model: ModelProto, place: Path) -> Built:
    source = source_from_onnx(model.SerializeToString(), name="m", importer="onnx")
    outcome = build(prepare_job(source, FP32, profile_of(), place), place / "b")
    assert isinstance(outcome, Built), outcome
    return outcome


def answer(outcome: Built, inputs: dict[str, NDArray[np.generic]]) -> NDArray[np.generic]:
    compiled = openvino.Core().compile_model(outcome.directory / outcome.artifact.entry, "CPU", {})
    session = OpenVinoSession(compiled, list(inputs), ["y"], openvino.Tensor)
    found = session.infer(inputs)["y"]
    session.close()
    return found


def test_model_without_weights_has_no_file_of_weights(tmp_path: Path) -> None:
    outcome = built(relu_model(), tmp_path)
    assert outcome.artifact.files == ("openvino-fp32.xml",)
    rows = np.array([[-1, 2, -3, 4]], np.float32)
    np.testing.assert_array_equal(answer(outcome, {"x": rows}), [[0, 2, 0, 4]])


def test_names_survive_that_the_indentation_goes(tmp_path: Path) -> None:
    odd = "a>  <b"
    model = model_of(
        [helper.make_node("Relu", ["x"], [odd], name=odd), helper.make_node("Neg", [odd], ["y"])],
        [value("x", (2, 3))],
        [value("y", (2, 3))],
    )
    outcome = built(model, tmp_path)
    graph = outcome.directory / outcome.artifact.entry
    assert b">\n" not in graph.read_bytes().strip()
    assert odd in {op.friendly_name for op in openvino.Core().read_model(graph).get_ops()}
    rows = np.array([[-1, 2, -3], [4, -5, 6]], np.float32)
    np.testing.assert_array_equal(answer(outcome, {"x": rows}), -np.maximum(rows, 0))


def test_input_that_only_lends_its_type_may_be_passed(tmp_path: Path) -> None:
    model = model_of(
        [helper.make_node("CastLike", ["x", "like"], ["y"])],
        [value("x", (2, 3)), value("like", (1,), TensorProto.INT32)],
        [value("y", (2, 3), TensorProto.INT32)],
    )
    rows = np.arange(6, dtype=np.float32).reshape(2, 3)
    found = answer(built(model, tmp_path), {"x": rows, "like": np.zeros(1, np.int32)})
    np.testing.assert_array_equal(found, rows.astype(np.int32))


def test_input_that_lost_its_name_to_an_output_goes_by_its_place(tmp_path: Path) -> None:
    taken, given = value("x", (3,)), value("y", (3,))
    model = model_of([helper.make_node("Sum", ["x"], ["y"])], [taken], [given])
    outcome, rows = built(model, tmp_path), np.array([3, 1, 2], np.float32)
    np.testing.assert_array_equal(answer(outcome, {"x": rows}), rows)
    with pytest.raises(ValueError, match="inputs that the bundle does not name"):
        answer(outcome, {"z": rows, "other": rows})


@pytest.mark.parametrize("number", [1e200, -1e39, np.inf])
def test_double_that_no_float_holds_is_refused(tmp_path: Path, number: float) -> None:
    kind = TensorProto.DOUBLE
    node = helper.make_node("Neg", ["x"], ["y"])
    model = model_of([node], [value("x", (2,), kind)], [value("y", (2,), kind)])
    outcome = built(model, tmp_path)
    np.testing.assert_array_equal(answer(outcome, {"x": np.array([1.0, -2.0])}), [-1, 2])
    with pytest.raises(OverflowError, match="float32"):
        answer(outcome, {"x": np.array([1.0, number])})


def test_shape_that_comes_with_the_call_is_left_to_the_device(tmp_path: Path) -> None:
    model = model_of(
        [helper.make_node("Col2Im", ["x", "image", "block"], ["y"])],
        [
            value("x", (1, 5, 5)),
            value("image", (2,), TensorProto.INT64),
            value("block", (2,), TensorProto.INT64),
        ],
        [value("y", (1, 1, "h", "w"))],
    )
    rows = np.arange(25, dtype=np.float32).reshape(1, 5, 5)
    asked = {"x": rows, "image": np.array([5, 5]), "block": np.array([1, 5])}
    assert answer(built(model, tmp_path), asked).shape == (1, 1, 5, 5)
