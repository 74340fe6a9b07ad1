# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, helper

from insight_edge.compile.graph.raising import OLD_OPSETS, RAISED_TO, raised
from insight_edge.compile.graph.reference import answers
from insight_edge.compile.reading import read_source
from insight_edge.documents.codec import digest
from insight_edge.errors import ModelError
from tests.fakes.onnx_models import graph_of, model_of, relu_model, value, weights_of


def of_opset(model: ModelProto, version: int) -> ModelProto:
    model.opset_import[0].version = version
    model.ir_version = 4
    return model


def enlarging_model(batch: int | str = "batch") -> ModelProto:
    """Doubles an image as opset 9 does, by an operator that later ones do not have."""
    nodes = [
        helper.make_node("Upsample", ["x", "scales"], ["up"], mode="nearest"),
        helper.make_node("Conv", ["up", "w"], ["y"], pads=[1, 1, 1, 1]),
    ]
    model = model_of(
        nodes,
        [value("x", (batch, 2, 4, 4))],
        [value("y", (batch, 3, 8, 8))],
        weights_of(0, w=(3, 2, 3, 3)),
    )
    scales = np.array([1, 1, 2, 2], np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(scales, "scales"))
    return of_opset(model, 9)


@pytest.mark.parametrize("version", OLD_OPSETS[5:])
def test_old_model_is_raised_and_answers_the_same(version: int, tmp_path: Path) -> None:
    path = tmp_path / "old.onnx"
    path.write_bytes(of_opset(relu_model(), version).SerializeToString())
    source = read_source(path)
    assert source.workload.opset == RAISED_TO
    assert source.digest == digest(source.data) != digest(path.read_bytes())


@pytest.mark.parametrize("batch", ["batch", 1])
def test_operator_that_is_no_more_is_replaced(batch: int | str, tmp_path: Path) -> None:
    path = tmp_path / "old.onnx"
    path.write_bytes(enlarging_model(batch).SerializeToString())
    source = read_source(path)
    assert {o.op for o in source.workload.operations} >= {"Resize", "Conv"}
    x = np.random.default_rng(1).normal(size=(1, 2, 4, 4)).astype(np.float32)
    found, wanted = (answers(data, {"x": x})["y"] for data in (source.data, path.read_bytes()))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)


def test_same_file_is_raised_to_the_same_bytes(tmp_path: Path) -> None:
    path = tmp_path / "old.onnx"
    path.write_bytes(enlarging_model().SerializeToString())
    assert read_source(path).digest == read_source(path).digest


def test_newer_model_stays_as_it_is() -> None:
    assert raised(relu_model()) is None


def test_model_too_old_for_the_engine_is_compared_with_the_reference(tmp_path: Path) -> None:
    path = tmp_path / "old.onnx"
    path.write_bytes(of_opset(relu_model(), 5).SerializeToString())
    assert read_source(path).workload.opset == RAISED_TO


def test_what_the_converter_does_not_know_is_refused(tmp_path: Path) -> None:
    nodes = [helper.make_node("Reloo", ["x"], ["y"])]
    model = of_opset(model_of(nodes, [value("x", (4,))], [value("y", (4,))]), 9)
    path = tmp_path / "old.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="opset 9 cannot be raised to 18") as caught:
        read_source(path)
    assert caught.value.hint == "export it anew with opset 18"


def test_original_that_runs_on_nothing_is_refused() -> None:
    nodes = [helper.make_node("Reshape", ["x", "shape"], ["y"])]
    graph = graph_of(nodes, [value("x", ("n", 3))], [value("y", (5, 7))])
    graph.initializer.append(onnx.numpy_helper.from_array(np.array([5, 7]), "shape"))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 9)])
    with pytest.raises(ModelError, match="the original does not run"):
        raised(of_opset(model, 9))
