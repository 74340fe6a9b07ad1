# SPDX-License-Identifier: Apache-2.0
"""ONNX files are read and given more outputs without the onnx package, as it would do it."""

import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_edge.runtime.engines.onnxruntime_insides import (
    graph_outputs,
    node_outputs,
    precision,
    with_outputs,
)
from tests.fakes.onnx_models import conv_model, recurrent_model

MODELS = {"conv": conv_model(), "recurrent": recurrent_model("LSTM")}


@pytest.mark.parametrize("name", list(MODELS))
def test_names_are_those_that_onnx_reads(name: str) -> None:
    model = MODELS[name]
    data = model.SerializeToString()
    assert node_outputs(data) == [n for node in model.graph.node for n in node.output if n]
    assert graph_outputs(data) == [value.name for value in model.graph.output]


@pytest.mark.parametrize("name", list(MODELS))
def test_every_tensor_can_be_made_an_output(name: str) -> None:
    model = MODELS[name]
    names = node_outputs(model.SerializeToString())
    more = [n for n in names if n not in {value.name for value in model.graph.output}]
    data = with_outputs(model.SerializeToString(), more)
    read = onnx.load_from_string(data)
    assert [value.name for value in read.graph.output] == [
        *(value.name for value in model.graph.output), *more,
    ]  # fmt: skip
    assert len(read.graph.node) == len(model.graph.node)
    onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])


@given(st.lists(st.text(max_size=300), max_size=5))
def test_any_name_survives(names: list[str]) -> None:
    data = with_outputs(MODELS["conv"].SerializeToString(), names)
    assert graph_outputs(data)[1:] == names


@given(st.binary(max_size=60))
def test_damage_is_a_value_error_or_nothing(data: bytes) -> None:
    try:
        node_outputs(data)
    except (ValueError, UnicodeDecodeError):
        return


@pytest.mark.parametrize(
    ("op", "inputs", "outputs", "expected"),
    [
        ("Conv", ["float", "float"], ["float"], "fp32"),
        ("QLinearConv", ["uint8", "float", "uint8", "int8"], ["uint8"], "int8"),
        ("QuantizeLinear", ["float", "float", "uint8"], ["uint8"], "fp32 to int8"),
        ("DequantizeLinear", ["uint8", "float", "uint8"], ["float"], "int8 to fp32"),
        ("MatMul", ["float16", "float16"], ["float16"], "fp16"),
        ("Gather", ["float", "int64"], ["float"], "fp32"),
        ("Shape", ["int64"], ["int64"], "int64"),
        ("Odd", [], [], "unknown"),
    ],
)
def test_precision_is_told_by_types(
    op: str, inputs: list[str], outputs: list[str], expected: str
) -> None:
    assert precision(op, inputs, outputs) == expected
