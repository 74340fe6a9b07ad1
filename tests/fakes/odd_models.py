# SPDX-License-Identifier: Apache-2.0
"""Models with what compilers trip over, each with rows: open sizes, integers, control flow."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

from tests.fakes.onnx_models import conv_model, graph_of, model_of, value, weights_of

Rows = dict[str, NDArray[Any]]
Made = tuple[ModelProto, Callable[[int], Rows]]
"""A model, and what makes so many rows for it."""


def _normal(count: int, *shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=(count, *shape)).astype(np.float32)


def free_image(height: int = 24, width: int = 20) -> Made:
    """An image network of any height and width."""
    model = conv_model()
    sizes = model.graph.input[0].type.tensor_type.shape.dim
    sizes[2].dim_param, sizes[3].dim_param = "height", "width"
    return model, lambda count: {"x": _normal(count, 3, height, width)}


def text(steps: int | str = 12, length: int = 12) -> Made:
    """The mean of embeddings of int64 words, of any number of them where `steps` is a name."""
    model = model_of(
        [
            helper.make_node("Gather", ["table", "ids"], ["words"]),
            helper.make_node("ReduceMean", ["words", "axes"], ["mean"], keepdims=0),
            helper.make_node("Gemm", ["mean", "w"], ["logits"], transB=1),
        ],
        [value("ids", ("batch", steps), TensorProto.INT64)],
        [value("logits", ("batch", 3))],
        {**weights_of(0, table=(50, 8), w=(3, 8)), "axes": np.array([1])},
    )
    words = np.random.default_rng(0)
    return model, lambda count: {"ids": words.integers(0, 50, size=(count, length))}


def branching() -> Made:
    """One of two dense layers, whichever the sign of the sum says."""
    either = [
        graph_of(
            [helper.make_node("Gemm", ["x", weight], [name], transB=1)], [], [value(name, None)]
        )
        for weight, name in (("w", "a"), ("v", "b"))
    ]
    model = model_of(
        [
            helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
            helper.make_node("Greater", ["sum", "zero"], ["positive"]),
            helper.make_node(
                "If", ["positive"], ["y"], then_branch=either[0], else_branch=either[1]
            ),
        ],
        [value("x", (1, 4))],
        [value("y", (1, 3))],
        {**weights_of(0, w=(3, 4), v=(3, 4)), "zero": np.array(0, np.float32)},
    )
    return model, lambda count: {"x": _normal(count, 4)}


def looping() -> Made:
    """Five times the same dense layer, by `Loop`."""
    body = graph_of(
        [
            helper.make_node("Gemm", ["h", "w"], ["g"]),
            helper.make_node("Tanh", ["g"], ["next"]),
            helper.make_node("Identity", ["go"], ["go_on"]),
        ],
        [
            value("i", (), TensorProto.INT64),
            value("go", (), TensorProto.BOOL),
            value("h", ("batch", 4)),
        ],
        [value("go_on", (), TensorProto.BOOL), value("next", ("batch", 4))],
    )
    model = model_of(
        [helper.make_node("Loop", ["times", "yes", "x"], ["y"], body=body)],
        [value("x", ("batch", 4))],
        [value("y", ("batch", 4))],
        {**weights_of(0, w=(4, 4)), "times": np.array(5), "yes": np.array(True)},
    )
    return model, lambda count: {"x": _normal(count, 4)}


def scanning() -> Made:
    """A running sum over six steps, by `Scan`."""
    body = graph_of(
        [
            helper.make_node("Add", ["state", "step"], ["sum"]),
            helper.make_node("Tanh", ["sum"], ["next"]),
            helper.make_node("Identity", ["next"], ["out"]),
        ],
        [value("state", ("batch", 4)), value("step", ("batch", 4))],
        [value("next", ("batch", 4)), value("out", ("batch", 4))],
    )
    scan = helper.make_node(
        "Scan", ["start", "x"], ["last", "y"], body=body,
        num_scan_inputs=1, scan_input_axes=[1], scan_output_axes=[1],
    )  # fmt: skip
    model = model_of(
        [scan],
        [value("start", ("batch", 4)), value("x", ("batch", 6, 4))],
        [value("last", ("batch", 4)), value("y", ("batch", 6, 4))],
    )
    return model, lambda count: {"start": _normal(count, 4), "x": _normal(count, 6, 4)}
