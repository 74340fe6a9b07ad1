# SPDX-License-Identifier: Apache-2.0
"""Which models TFLite refuses, and why."""

import numpy as np
import onnxruntime
import pytest
from onnx import NodeProto, helper

from insight_edge.compile.backends.plain_graph import fold, inlined
from insight_edge.compile.backends.tflite import TfLiteBackend
from insight_edge.compile.backends.tflite_operators import is_said_in_others
from insight_edge.compile.sources.source import SourceModel, source_from_onnx
from insight_edge.documents.target import target_from_token
from tests.fakes.hardware import profile_of
from tests.fakes.onnx_models import (
    conv_model,
    model_of,
    recurrent_model,
    relu_model,
    value,
    weights_of,
)

TOKENS = ("tflite:fp32", "tflite:fp16", "tflite:int8", "tflite:int8+dynamic")


def source_of(model: object) -> SourceModel:
    return source_from_onnx(model.SerializeToString(), name="m", importer="onnx")  # type: ignore[attr-defined]


def refused(source: SourceModel, token: str) -> str | None:
    return TfLiteBackend().refuse(source, target_from_token(token), profile_of())


def attention_model() -> object:
    """Rows attend to one another, with weights on the way in."""
    return model_of(
        [
            helper.make_node("MatMul", ["x", "w"], ["q"]),
            helper.make_node("Transpose", ["q"], ["k"], perm=[0, 2, 1]),
            helper.make_node("MatMul", ["q", "k"], ["scores"]),
            helper.make_node("Softmax", ["scores"], ["shares"], axis=-1),
            helper.make_node("MatMul", ["shares", "q"], ["y"]),
        ],
        [value("x", ("batch", 6, 4))],
        [value("y", ("batch", 6, 8))],
        weights_of(0, w=(4, 8)),
    )


def test_targets_have_the_tokens_that_flags_name() -> None:
    assert tuple(target.token for target in TfLiteBackend().targets()) == TOKENS


@pytest.mark.parametrize("token", TOKENS)
def test_convolutions_are_not_refused(token: str) -> None:
    assert refused(source_of(conv_model()), token) is None


def test_attention_is_refused_in_static_int8_alone() -> None:
    found = {token: refused(source_of(attention_model()), token) for token in TOKENS}
    assert found.pop("tflite:int8") == (
        "8-bit activations cost attention its accuracy; tflite:int8+dynamic keeps them"
    )
    assert set(found.values()) == {None}


@pytest.mark.parametrize("token", TOKENS)
def test_free_dimension_besides_the_batch_is_refused(token: str) -> None:
    reason = refused(source_of(relu_model(("batch", "steps"))), token)
    assert reason == "dimension 'steps' of input 'x' is free, and only the batch may be"


def test_recurrent_net_of_fixed_batch_is_refused_in_static_int8() -> None:
    model = recurrent_model("LSTM")
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 2
    model.graph.output[0].type.tensor_type.shape.dim[2].dim_value = 2
    source = source_of(model)
    assert "over the steps of LSTM" in str(refused(source, "tflite:int8"))
    assert refused(source, "tflite:int8+dynamic") is None
    assert refused(source, "tflite:fp32") is None


@pytest.mark.parametrize("token", ["tflite:int8", "tflite:int8+dynamic"])
def test_int8_without_a_product_of_matrices_is_refused(token: str) -> None:
    assert "no operator that INT8" in str(refused(source_of(relu_model()), token))


def test_classical_operator_is_refused_by_name() -> None:
    node = helper.make_node("Scaler", ["x"], ["y"], domain="ai.onnx.ml", offset=[0.0], scale=[2.0])
    model = model_of([node], [value("x", ("batch", 4))], [value("y", ("batch", 4))])
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    assert "cannot read ai.onnx.ml.Scaler" in str(refused(source_of(model), "tflite:fp32"))


@pytest.mark.parametrize(
    ("node", "said"),
    [
        (helper.make_node("Elu", ["x"], ["y"]), False),
        (helper.make_node("Elu", ["x"], ["y"], alpha=1.0), False),
        (helper.make_node("Elu", ["x"], ["y"], alpha=2.0), True),
        (helper.make_node("Gelu", ["x"], ["y"]), False),
        (helper.make_node("Gelu", ["x"], ["y"], approximate="tanh"), True),
        (helper.make_node("Swish", ["x"], ["y"]), True),
        (helper.make_node("Relu", ["x"], ["y"]), False),
    ],
)
def test_what_tflite_computes_otherwise_is_said_in_other_operators(
    node: NodeProto, said: bool
) -> None:
    assert is_said_in_others(node) is said


def test_call_that_is_said_in_others_leaves_those_beside_it_alone() -> None:
    nodes = [
        helper.make_node("Elu", ["x"], ["a"]),
        helper.make_node("Elu", ["a"], ["y"], alpha=2.0),
    ]
    model, plain = (model_of(nodes, [value("x", (2, 3))], [value("y", (2, 3))]) for _ in range(2))
    plain = inlined(plain, is_said_in_others)
    fold(plain)
    rows = np.array([[-2, -1, 0], [1, 2, -0.5]], np.float32)
    assert [node.output[0] for node in plain.graph.node if node.op_type == "Elu"] == ["a"]
    found, wanted = (
        onnxruntime.InferenceSession(each.SerializeToString()).run(None, {"x": rows})[0]
        for each in (plain, model)
    )
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
