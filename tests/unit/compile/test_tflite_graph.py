# SPDX-License-Identifier: Apache-2.0
"""Calls that onnx2tf would lower wrongly or not at all, said in its usual form."""

from collections import Counter

import numpy as np
import onnxruntime
import pytest
from onnx import ModelProto, helper

from insight_edge.compile.backends.plain_graph import inlined
from insight_edge.compile.backends.tflite_graph import lowerable
from insight_edge.compile.backends.tflite_operators import is_said_in_others
from tests.fakes.onnx_models import model_of, value, weights_of


def one_of(op: str, given: tuple[int, ...], opset: int = 18, **attributes: object) -> ModelProto:
    node = helper.make_node(op, ["x"], ["y"], **attributes)
    return model_of([node], [value("x", (3, 4, 5))], [value("y", given)], opset=opset)


def grouped(*, twice: bool = False) -> ModelProto:
    attributes = {"group": 2, "pads": [1, 2], "strides": [2], "dilations": [2]}
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["y"], kernel_shape=[2], **attributes)]
    if twice:
        nodes.append(helper.make_node("Conv", ["x", "w"], ["z"], group=2))
    outputs = [value(one.output[0], None) for one in nodes]
    carried = weights_of(0, w=(6, 2, 2), b=(6,))
    return model_of(nodes, [value("x", (3, 4, 5))], outputs, carried)


def parted() -> ModelProto:
    node = helper.make_node("Split", ["x"], ["y", "z"], axis=-1, num_outputs=2)
    outputs = [value("y", (3, 4, 3)), value("z", (3, 4, 2))]
    return model_of([node], [value("x", (3, 4, 5))], outputs)


def root_mean_square() -> ModelProto:
    node = helper.make_node("RMSNormalization", ["x", "s"], ["y"], axis=-1)
    face = [value("x", (3, 4, 5))], [value("y", (3, 4, 5))]
    return model_of([node], *face, weights_of(0, s=(5,)), opset=23)


MODELS = {
    "Max of one": (one_of("Max", (3, 4, 5)), {"Identity": 1}),
    "Sum of one": (one_of("Sum", (3, 4, 5)), {"Identity": 1}),
    "Hardmax": (one_of("Hardmax", (3, 4, 5)), {"Hardmax": 1}),
    "Split": (parted(), {"Split": 1}),
    "grouped": (grouped(), {"Unsqueeze": 1, "Conv": 1, "Squeeze": 1}),
    "grouped twice": (grouped(twice=True), {"Unsqueeze": 2, "Conv": 2, "Squeeze": 2}),
    "RMSNormalization": (
        root_mean_square(),
        {"Cast": 2, "Mul": 2, "ReduceMean": 1, "Add": 1, "Sqrt": 1, "Div": 1},
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_call_is_said_in_the_usual_form_and_answers_the_same(name: str) -> None:
    model, wanted = MODELS[name]
    plain = ModelProto()
    plain.CopyFrom(model)
    plain = inlined(plain, is_said_in_others)
    lowerable(plain)
    assert Counter(node.op_type for node in plain.graph.node) == wanted
    rows = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    found, truth = (
        onnxruntime.InferenceSession(each.SerializeToString()).run(None, {"x": rows})
        for each in (plain, model)
    )
    for one, other in zip(found, truth, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_axis_and_sizes_are_written_down() -> None:
    hardmax, split = one_of("Hardmax", (3, 4, 5)), parted()
    for model in (hardmax, split):
        lowerable(model)
    assert [(a.name, a.i) for a in hardmax.graph.node[0].attribute] == [("axis", -1)]
    assert len(split.graph.node[0].input) == 2


def test_what_is_lowered_stays() -> None:
    even = one_of("Hardmax", (3, 4, 5), axis=1)
    older = one_of("Hardmax", (3, 4, 5), opset=12)
    for model in (even, older):
        before = model.graph.node[0].SerializeToString()
        lowerable(model)
        assert model.graph.node[0].SerializeToString() == before
