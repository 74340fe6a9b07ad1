# SPDX-License-Identifier: Apache-2.0
"""What OpenVINO leaves open when it reads ONNX, put right: as ONNX Runtime answers."""

from typing import Any

import numpy as np
import onnxruntime
import openvino
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper

from insight_edge.compile.backends.openvino_graph import as_standard
from tests.fakes.onnx_models import model_of, value

Array = NDArray[Any]


def model(node: NodeProto, x: Array, kinds: tuple[int, ...]) -> ModelProto:
    taken = [value("x", x.shape, helper.np_dtype_to_tensor_dtype(x.dtype))]
    outputs = [value(n, None, k) for n, k in zip(node.output, kinds, strict=True)]
    return model_of([node], taken, outputs, {"three": np.array([3], np.int64)})


def read(asked: ModelProto) -> openvino.Model:
    return as_standard(openvino.Core().read_model(asked.SerializeToString()))


def assert_same(asked: ModelProto, **passed: Array) -> None:
    truth = onnxruntime.InferenceSession(asked.SerializeToString()).run(None, passed)
    hints = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(read(asked), "CPU", hints)
    found = compiled(passed)
    for output, wanted in zip(asked.graph.output, truth, strict=True):
        np.testing.assert_array_equal(found[output.name], wanted)


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint8])
def test_of_equal_whole_numbers_the_first_are_taken(dtype: type) -> None:
    x: Array = np.array([[0, 0, 0, 0], [2, 2, 2, 1]], dtype)
    kind = helper.np_dtype_to_tensor_dtype(x.dtype)
    node = helper.make_node("TopK", ["x", "k"], ["y", "places"])
    asked = model(node, x, (kind, TensorProto.INT64))
    asked.graph.input.append(value("k", (1,), TensorProto.INT64))
    assert_same(asked, x=x, k=np.array([3]))


def test_order_of_floating_point_numbers_is_not_paid_for() -> None:
    node = helper.make_node("TopK", ["x", "three"], ["y", "places"])
    asked = model(node, np.zeros((2, 5), np.float32), (TensorProto.FLOAT, TensorProto.INT64))
    found = [each for each in read(asked).get_ops() if each.get_type_name() == "TopK"]
    assert [each.get_attributes()["stable"] for each in found] == [False]


def pool(kernel: int, stride: int, pads: list[int]) -> NodeProto:
    words = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": pads}
    return helper.make_node("MaxPool", ["x"], ["y"], ceil_mode=1, **words)


@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize(
    ("kernel", "stride", "pads"),
    [(1, 2, [0, 0, 0, 0]), (3, 2, [0, 0, 0, 0]), (2, 3, [1, 1, 1, 1]), (3, 2, [1, 0, 0, 1])],
)
def test_no_window_starts_beyond_the_image(
    kernel: int, stride: int, pads: list[int], free: bool
) -> None:
    x = np.random.default_rng(0).normal(size=(1, 2, 8, 6)).astype(np.float32)
    asked = model(pool(kernel, stride, pads), x, (TensorProto.FLOAT,))
    if free:
        asked.graph.input[0].CopyFrom(value("x", ("batch", 2, "height", "width")))
    assert_same(asked, x=x)


def test_pool_whose_windows_end_inside_stays_for_int8() -> None:
    asked = model(pool(3, 2, [0, 0, 0, 0]), np.zeros((1, 2, 8, 6), np.float32), (1,))
    asked.graph.input[0].CopyFrom(value("x", ("batch", 2, 8, 6)))
    found = [each for each in read(asked).get_ops() if each.get_type_name() == "MaxPool"]
    assert [each.get_attributes()["rounding_type"] for each in found] == ["ceil"]
