# SPDX-License-Identifier: Apache-2.0
"""What is said of a layer that 8 bits are too few for."""

import numpy as np
import pytest
from onnx import NodeProto, helper

from insight_edge.compile.quantize.layers import layer_ranges, multiplies, why_hard
from insight_edge.compile.quantize.qdq import answers
from tests.fakes.fragile import fragile_model, held_out


def nodes(*names: str) -> list[NodeProto]:
    return [node for node in fragile_model().graph.node if node.name in names]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("stem", "relu1"), "first layer"),
        (("depthwise", "relu3"), "depthwise"),
        (("mix", "sigmoid", "silu"), "sigmoid or SiLU"),
        (("head",), "last layer"),
        (("pool",), "adds the most noise"),
    ],
)
def test_what_a_layer_is_is_seen(names: tuple[str, ...], said: str) -> None:
    assert why_hard(fragile_model(), nodes(*names), {}) == said


def test_attention_is_named_by_its_softmax() -> None:
    made = [
        helper.make_node("MatMul", ["q", "k"], ["s"]),
        helper.make_node("Softmax", ["s"], ["p"]),
    ]
    assert why_hard(fragile_model(), made, {}) == "attention softmax input"
    assert [multiplies(node) for node in made] == [True, False]


def test_uneven_channels_are_measured_and_told() -> None:
    images, _ = held_out()
    rows = [{"x": images[i : i + 1]} for i in range(4)]
    ranges = layer_ranges(fragile_model(), rows, answers)
    assert ranges["r1"] > 100
    assert ranges["m2"] < 30
    told = why_hard(fragile_model(), nodes("mix", "sigmoid", "silu"), ranges)
    assert told == f"an input channel {ranges['r1']:.0f}x the median one, sigmoid or SiLU"


def test_activations_without_channels_are_even() -> None:
    images, _ = held_out()
    rows = [{"x": np.zeros_like(images[:1])}]
    assert all(ratio >= 0 for ratio in layer_ranges(fragile_model(), rows, answers).values())
