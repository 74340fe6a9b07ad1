# SPDX-License-Identifier: Apache-2.0
"""Models of several paths, inputs and outputs, by whose layers a fault can be told."""

import numpy as np
from onnx import ModelProto, helper

from tests.fakes.onnx_models import model_of, value, weights_of


def branching_model() -> ModelProto:
    """Two inputs, a stem, two branches that meet, and two outputs of different length."""
    return model_of(
        [
            helper.make_node("Gemm", ["x", "ws"], ["stem"], transB=1, name="stem"),
            helper.make_node("Gemm", ["stem", "wl"], ["left"], transB=1, name="left"),
            helper.make_node("Gemm", ["stem", "wr"], ["right"], transB=1, name="right"),
            helper.make_node("Add", ["left", "right"], ["sum"], name="sum"),
            helper.make_node("Gemm", ["sum", "wt"], ["tail"], transB=1, name="tail"),
            helper.make_node("Mul", ["sum", "scale"], ["scaled"], name="scaled"),
            helper.make_node("Tanh", ["scaled"], ["small"], name="small"),
        ],
        [value("x", ("batch", 6)), value("scale", ("batch", 5))],
        [value("small", ("batch", 5)), value("tail", ("batch", 3))],
        weights_of(0, ws=(8, 6), wl=(5, 8), wr=(5, 8), wt=(3, 5)),
    )


def turning_model() -> ModelProto:
    """Steps come before rows inside, as in attention, and heads are split off them."""
    return model_of(
        [
            helper.make_node("MatMul", ["x", "wi"], ["first"], name="first"),
            helper.make_node("Transpose", ["first"], ["turned"], perm=[1, 0, 2], name="turned"),
            helper.make_node("Reshape", ["turned", "heads"], ["split"], name="split"),
            helper.make_node("MatMul", ["split", "wh"], ["second"], name="second"),
            helper.make_node("Reshape", ["second", "whole"], ["joined"], name="joined"),
            helper.make_node("Transpose", ["joined"], ["back"], perm=[1, 0, 2], name="back"),
            helper.make_node("ReduceMean", ["back", "axis"], ["y"], keepdims=0, name="y"),
        ],
        [value("x", ("batch", 5, 6))],
        [value("y", ("batch", 6))],
        {
            **weights_of(0, wi=(6, 6), wh=(3, 3)),
            "heads": np.array([5, -1, 3], np.int64),
            "whole": np.array([5, -1, 6], np.int64),
            "axis": np.array([1], np.int64),
        },
    )
