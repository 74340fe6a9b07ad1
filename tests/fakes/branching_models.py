# SPDX-License-Identifier: Apache-2.0
"""Models of several paths, inputs and outputs, by whose layers a fault can be told."""

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
