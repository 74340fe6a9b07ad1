# SPDX-License-Identifier: Apache-2.0
"""A model that hears speech piece by piece: its state goes in and comes out, beside a rate."""

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper

from tests.fakes.onnx_models import Shape, graph_of, model_of, value, weights_of

SIZE, UNITS, LAYERS = 64, 16, 2
RATE = 16000

Arrays = dict[str, NDArray[np.generic]]


def listening_model(
    batch: int | str = "batch", *, branches: bool = True, opset: int = 18
) -> ModelProto:
    """Return a model of a piece (batch, 64), a state (2, batch, 16) and a rate (), an int64.

    Args:
        batch: of the piece and the state.
        branches: the rate decides which branch is taken, and not by what numbers are multiplied.
        opset: of standard operators, 13 or later.
    """
    state: Shape = (LAYERS, batch, UNITS)
    nodes = [
        helper.make_node("Equal", ["sr", "rate"], ["is_rate"], name="is_rate"),
        _heard() if branches else helper.make_node("Cast", ["is_rate"], ["loud"], to=1),
        *([] if branches else _louder()),
        helper.make_node("Split", ["state", "halves"], ["one", "two"], axis=0, name="split"),
        *_layer("one", "heard", "u1"),
        helper.make_node("MatMul", ["one_new", "v"], ["deeper"], name="deeper"),
        *_layer("two", "deeper", "u2"),
        helper.make_node("MatMul", ["two_new", "out"], ["score"], name="score"),
        helper.make_node("Sigmoid", ["score"], ["speech"], name="speech"),
        helper.make_node("Unsqueeze", ["one_new", "first"], ["one_up"], name="one_up"),
        helper.make_node("Unsqueeze", ["two_new", "first"], ["two_up"], name="two_up"),
        helper.make_node("Concat", ["one_up", "two_up"], ["state_new"], axis=0, name="join"),
    ]
    square, tall = (UNITS, UNITS), (SIZE, UNITS)
    drawn = weights_of(0, w=tall, ws=tall, u1=square, u2=square, v=square, out=(UNITS, 1))
    weights: Arrays = {
        **{name: array / 8 for name, array in drawn.items()},
        "rate": np.array(RATE, np.int64),
        "halves": np.array([1, 1], np.int64),
        "first": np.array([0], np.int64),
    }
    return model_of(
        nodes,
        [value("x", (batch, SIZE)), value("state", state), value("sr", (), TensorProto.INT64)],
        [value("speech", (batch, 1)), value("state_new", state)],
        weights,
        opset=opset,
    )


def calls(count: int) -> Arrays:
    """Return calls, stacked: a call a row, as a file of rows for calibration has them."""
    generator = np.random.default_rng(2)
    return {
        "x": generator.normal(size=(count, 1, SIZE)).astype(np.float32),
        "state": generator.normal(size=(count, LAYERS, 1, UNITS)).astype(np.float32) / 2,
        "sr": generator.choice([8000, RATE], count),
    }


def _heard() -> NodeProto:
    """Return two branches that read the input of the model from outside."""
    branches = [
        graph_of(
            [helper.make_node("MatMul", ["x", weight], [f"heard_{weight}"], name=f"by_{weight}")],
            [],
            [value(f"heard_{weight}", None)],
        )
        for weight in ("w", "ws")
    ]
    return helper.make_node(
        "If", ["is_rate"], ["heard"], name="heard", then_branch=branches[0], else_branch=branches[1]
    )


def _louder() -> list[NodeProto]:
    return [
        helper.make_node("MatMul", ["x", "w"], ["plain"], name="plain"),
        helper.make_node("Mul", ["plain", "loud"], ["louder"], name="louder"),
        helper.make_node("MatMul", ["x", "ws"], ["soft"], name="soft"),
        helper.make_node("Add", ["louder", "soft"], ["heard"], name="heard"),
    ]


def _layer(name: str, fed: str, weight: str) -> list[NodeProto]:
    return [
        helper.make_node("Squeeze", [name, "first"], [f"{name}_old"], name=f"{name}_old"),
        helper.make_node("MatMul", [f"{name}_old", weight], [f"{name}_kept"], name=f"{name}_kept"),
        helper.make_node("Add", [f"{name}_kept", fed], [f"{name}_sum"], name=f"{name}_sum"),
        helper.make_node("Tanh", [f"{name}_sum"], [f"{name}_new"], name=f"{name}_new"),
    ]
