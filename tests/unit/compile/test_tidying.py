# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper

from insight_edge.compile.graph.tidying import tidy
from insight_edge.compile.reading import read_source
from insight_edge.compile.sources.source import SourceModel
from insight_edge.compile.trials.oracle import source_answers
from insight_edge.errors import ModelError
from tests.fakes.onnx_models import FLOAT, model_of, relu_model, value


def read(model: ModelProto, folder: Path) -> SourceModel:
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    return read_source(folder / "m.onnx")


def with_dimensions(*sizes: int | str) -> ModelProto:
    return relu_model(sizes)


def nameless() -> ModelProto:
    model = relu_model()
    model.graph.name = ""
    return model


def with_twins() -> ModelProto:
    nodes = [helper.make_node("Relu", [a], [b], name="same") for a, b in ("xm", "my")]
    return model_of(nodes, [value("x", ("batch", 4))], [value("y", ("batch", 4))])


def shapeless() -> ModelProto:
    model = relu_model()
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", FLOAT, None))
    return model


@pytest.mark.parametrize(
    "make",
    [
        lambda: with_dimensions(-1, 4),
        lambda: with_dimensions(0, 4),
        nameless,
        with_twins,
        shapeless,
    ],
)
def test_slip_of_an_exporter_is_put_right(make: Callable[[], ModelProto], tmp_path: Path) -> None:
    source = read(make(), tmp_path)
    assert [spec.shape for spec in source.workload.outputs] == [("batch", 4)]
    x = np.arange(-4, 8, dtype=np.float32).reshape(3, 4)
    np.testing.assert_array_equal(source_answers(source, {"x": x})["y"], np.maximum(x, 0))


@pytest.mark.parametrize("unknown", ["?", "None", -1])
def test_sizes_that_nobody_knows_need_not_be_the_same(unknown: int | str, tmp_path: Path) -> None:
    source = read(with_dimensions("?", 3, unknown, unknown), tmp_path)
    assert source.workload.inputs[0].shape == ("batch", 3, "x_2", "x_3")


def test_list_of_nothing_is_none_of_a_batch() -> None:
    model = with_dimensions(0)
    assert not tidy(model)
    assert model.graph.input[0].type.tensor_type.shape.dim[0].HasField("dim_value")


def test_slip_inside_a_branch_is_put_right() -> None:
    branch = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["t"])], "", [], [value("t", (-1, 4))]
    )
    node = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    model = model_of([node], [value("x", ("n", 4))], [value("y", ("n", 4))])
    assert tidy(model)
    inside = model.graph.node[0].attribute[0].g
    assert inside.name
    assert not inside.output[0].type.tensor_type.shape.dim[0].HasField("dim_value")


def test_functions_are_unfolded(tmp_path: Path) -> None:
    body = [helper.make_node("Relu", ["a"], ["b"])]
    function = helper.make_function(
        "own", "Ramp", ["a"], ["b"], body, [helper.make_opsetid("", 18)]
    )
    node = helper.make_node("Ramp", ["x"], ["y"], domain="own")
    model = model_of([node], [value("x", ("batch", 4))], [value("y", ("batch", 4))])
    model.functions.append(function)
    model.opset_import.append(helper.make_opsetid("own", 1))
    kept = onnx.load_model_from_string(read(model, tmp_path).data)
    assert not kept.functions
    assert [node.op_type for node in kept.graph.node] == ["Relu"]


def test_model_without_slips_stays_as_it_is(tmp_path: Path) -> None:
    model = relu_model(("batch", 4))
    assert not tidy(model)
    assert read(model, tmp_path).data == model.SerializeToString()


def test_output_of_no_known_shape_is_still_refused(tmp_path: Path) -> None:
    shape = value("s", ("k",), TensorProto.INT64)
    node = helper.make_node("Reshape", ["x", "s"], ["y"])
    output = helper.make_tensor_value_info("y", FLOAT, None)
    model = model_of([node], [value("x", ("batch", 4)), shape], [output])
    with pytest.raises(ModelError, match="output 'y' has no shape"):
        read(model, tmp_path)
