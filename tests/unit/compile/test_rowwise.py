# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import msgspec
import onnx
import pytest
from onnx import TensorProto, helper

from insight_edge.compile.graph.rowwise import rowless
from insight_edge.compile.reading import read_source
from insight_edge.compile.sources.source import source_from_onnx
from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import ModelError
from tests.fakes.onnx_models import relu_model

Shape = list[int | str]


def model(path: Path, op: str, inputs: list[Shape], output: Shape) -> Path:
    faces = [
        helper.make_tensor_value_info(f"x{index}", TensorProto.FLOAT, shape)
        for index, shape in enumerate(inputs)
    ]
    answer = helper.make_tensor_value_info("y", TensorProto.FLOAT, output)
    keep = {"keepdims": 0} if op == "ReduceSum" else {}
    node = helper.make_node(op, [face.name for face in faces], ["y"], **keep)
    graph = helper.make_graph([node], "graph", faces, [answer])
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


@pytest.mark.parametrize(
    ("op", "inputs", "output", "why"),
    [
        ("Mul", [[1, 4], []], [1, 4], "input 'x1' is a single number"),
        ("Add", [[1, 4], [2, 4]], [2, 4], "input 'x1' takes 2 rows where 'x0' takes 1"),
        ("Add", [["n", 4], [1, 4]], ["n", 4], "'x1' takes 1 rows where 'x0' takes any number"),
        ("ReduceSum", [["n", 4]], [], "output 'y' is a single number for all rows"),
    ],
)
def test_model_that_takes_no_rows_is_asked_call_by_call(
    op: str, inputs: list[Shape], output: Shape, why: str, tmp_path: Path
) -> None:
    read = read_source(model(tmp_path / "model.onnx", op, inputs, output)).workload
    assert why in read.called
    assert {spec.shape[0] for spec in (*read.inputs, *read.outputs)} == {1}


@pytest.mark.parametrize("inputs", [[["n", 4], ["m", 4]], [[2, 4], [2, 4]], [[2, 4], ["n", 4]]])
def test_rows_that_may_be_as_many_are_read(inputs: list[Shape], tmp_path: Path) -> None:
    read = read_source(model(tmp_path / "model.onnx", "Add", inputs, [inputs[0][0], 4]))
    assert not read.workload.called


def test_program_that_was_exported_for_no_rows_is_refused() -> None:
    empty = TensorSpec(name="x", dtype="float32", shape=(0, 4))
    read = source_from_onnx(relu_model().SerializeToString(), name="m", importer="onnx").workload
    with pytest.raises(ModelError, match="input 'x' takes no rows"):
        rowless(msgspec.structs.replace(read, inputs=(empty,)))
