# SPDX-License-Identifier: Apache-2.0
"""What TensorRT is given answers as the model does, in the words of its parser."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto, helper

from insight_edge.compile.backends.tensorrt_graph import readable
from tests.fakes.onnx_models import model_of, value

Array = NDArray[Any]


def answer(model: ModelProto, feeds: Mapping[str, Array]) -> Array:
    options = onnxruntime.SessionOptions()
    # Optimised, it multiplies a turned stack with a vector wrongly.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    found: Array = session.run(None, dict(feeds))[0]
    return found


def read_as(model: ModelProto, **feeds: Array) -> ModelProto:
    """Check that the parser is given what answers the same, and return it."""
    wanted = answer(model, feeds)
    plain = readable(model)
    onnx.checker.check_model(plain, full_check=True)
    np.testing.assert_allclose(answer(plain, feeds), wanted, rtol=1e-6)
    return plain


def ops(model: ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def test_axes_that_follow_from_ranks_are_carried_whatever_the_batch() -> None:
    model = model_of(
        [
            helper.make_node("Shape", ["x"], ["sizes"]),
            helper.make_node("Size", ["sizes"], ["rank"]),
            helper.make_node("Range", ["one", "rank", "one"], ["axes"]),
            helper.make_node("ReduceMean", ["x", "axes"], ["y"]),
        ],
        [value("x", ("batch", 3, 4))],
        [value("y", ("batch", 1, 1))],
        {"one": np.array(1, np.int64)},
    )
    plain = read_as(model, x=np.arange(24, dtype=np.float32).reshape(2, 3, 4))
    assert {"Range", "Size"}.isdisjoint(ops(plain))
    assert "axes" in {tensor.name for tensor in plain.graph.initializer}


def test_vector_is_multiplied_with_a_stack_the_other_way_round() -> None:
    model = model_of(
        [helper.make_node("MatMul", ["x", "z"], ["y"])],
        [value("x", (3,)), value("z", ("batch", 2, 3, 4))],
        [value("y", ("batch", 2, 4))],
    )
    draw = np.random.default_rng(0)
    x, z = (draw.normal(size=size).astype(np.float32) for size in ((3,), (5, 2, 3, 4)))
    assert ops(read_as(model, x=x, z=z)) == ["Transpose", "MatMul"]


def test_products_that_the_parser_takes_stay() -> None:
    model = model_of(
        [helper.make_node("MatMul", ["x", "z"], ["y"])],
        [value("x", (3,)), value("z", (3, 4))],
        [value("y", (4,))],
    )
    x, z = np.ones(3, np.float32), np.ones((3, 4), np.float32)
    assert ops(read_as(model, x=x, z=z)) == ["MatMul"]


def test_weights_of_eight_bits_stay_such() -> None:
    model = model_of(
        [
            helper.make_node("DequantizeLinear", ["q", "scale"], ["w"]),
            helper.make_node("MatMul", ["x", "w"], ["y"]),
        ],
        [value("x", ("batch", 3))],
        [value("y", ("batch", 2))],
        {"q": np.ones((3, 2), np.int8), "scale": np.array(0.5, np.float32)},
    )
    assert ops(read_as(model, x=np.ones((2, 3), np.float32))) == ["DequantizeLinear", "MatMul"]
