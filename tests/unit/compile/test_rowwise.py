# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import msgspec
import onnx
import pytest
from onnx import TensorProto, helper

from insight_edge.compile.graph.rowwise import refuse_rowless
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
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), path)
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
def test_model_that_takes_no_rows_is_refused_when_it_is_read(
    op: str, inputs: list[Shape], output: Shape, why: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=why) as caught:
        read_source(model(tmp_path / "model.onnx", op, inputs, output))
    assert str(caught.value).startswith("model.onnx: ")
    assert caught.value.hint is not None


@pytest.mark.parametrize("inputs", [[["n", 4], ["m", 4]], [[2, 4], [2, 4]], [[2, 4], ["n", 4]]])
def test_rows_that_may_be_as_many_are_read(inputs: list[Shape], tmp_path: Path) -> None:
    read_source(model(tmp_path / "model.onnx", "Add", inputs, [inputs[0][0], 4]))


def test_program_that_was_exported_for_no_rows_is_refused() -> None:
    empty = TensorSpec(name="x", dtype="float32", shape=(0, 4))
    read = source_from_onnx(relu_model().SerializeToString(), name="m", importer="onnx").workload
    with pytest.raises(ModelError, match="input 'x' takes no rows"):
        refuse_rowless(msgspec.structs.replace(read, inputs=(empty,)))
