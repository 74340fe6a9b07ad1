# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper

from insight_edge.compile.graph.check import check_model
from insight_edge.errors import ModelError
from tests.fakes.onnx_models import graph_of, model_of, relu_model, value, weights_of

HALF = {"half": np.array([1, 1, 0.5, 0.6], np.float32)}
TWICE = {"half": np.array([1, 1, 2, 0.5], np.float32)}


def dropout_model(training: bool | None) -> ModelProto:
    """A dropout that is told by a weight whether to train, or by the caller."""
    ratio = np.array(0.5, np.float32)
    weights = {"ratio": ratio} | ({} if training is None else {"train": np.array(training)})
    asked = [value("train", (), TensorProto.BOOL)] if training is None else []
    node = helper.make_node("Dropout", ["x", "ratio", "train"], ["y"])
    return model_of([node], [value("x", (2, 3)), *asked], [value("y", (2, 3))], weights)


def resize_model(weights: dict[str, np.ndarray], mode: str = "align_corners") -> ModelProto:
    asked = [] if weights else [value("half", (4,))]
    node = helper.make_node(
        "Resize", ["x", "", "half"], ["y"], mode="linear", coordinate_transformation_mode=mode
    )
    shape = (1, 1, "h", "w")
    return model_of([node], [value("x", (1, 1, 4, 5)), *asked], [value("y", shape)], weights)


def lstm_model(layout: int) -> ModelProto:
    node = helper.make_node("LSTM", ["x", "w", "r"], ["y"], hidden_size=2, layout=layout)
    weights = weights_of(0, w=(1, 8, 4), r=(1, 8, 2))
    return model_of([node], [value("x", (3, 1, 4))], [value("y", (3, 1, 1, 2))], weights)


def unpool_model() -> ModelProto:
    node = helper.make_node("MaxUnpool", ["x", "i", "s"], ["y"], kernel_shape=[2, 2])
    asked = [
        value("x", (1, 1, 2, 2)),
        value("i", (1, 1, 2, 2), TensorProto.INT64),
        value("s", (4,), TensorProto.INT64),
    ]
    return model_of([node], asked, [value("y", (1, 1, "h", "w"))])


def random_in_branch() -> ModelProto:
    drawn = helper.make_node("RandomNormalLike", ["x"], ["z"])
    kept = helper.make_node("Identity", ["x"], ["z"])
    branches = [graph_of([node], [], [value("z", (2,))]) for node in (drawn, kept)]
    node = helper.make_node("If", ["c"], ["y"], then_branch=branches[0], else_branch=branches[1])
    return model_of([node], [value("c", (), TensorProto.BOOL), value("x", (2,))],
                    [value("y", (2,))])  # fmt: skip


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (dropout_model(training=True), r"node 0 \(Dropout\) draws random numbers"),
        (dropout_model(training=None), "draws random numbers"),
        (random_in_branch(), r"\(RandomNormalLike\) draws random numbers"),
        (lstm_model(1), r"\(LSTM\) has the batch first"),
        (resize_model({}), "aligns corners at scales that are not whole"),
        (resize_model(HALF), "aligns corners at scales that are not whole"),
        (unpool_model(), "told the shape to unpool to"),
    ],
    ids=["training", "asked", "branch", "layout", "unknown", "part", "unpool"],
)
def test_answer_that_nobody_knows_is_refused(model: ModelProto, told: str) -> None:
    with pytest.raises(ModelError, match=told) as caught:
        check_model(model)
    assert caught.value.hint


@pytest.mark.parametrize(
    "model",
    [
        dropout_model(training=False),
        lstm_model(0),
        resize_model(TWICE),
        resize_model({}, "half_pixel"),
        resize_model(HALF, "half_pixel"),
        relu_model(),
    ],
    ids=["evaluating", "steps-first", "whole", "unknown", "part", "plain"],
)
def test_what_is_known_is_let_pass(model: ModelProto) -> None:
    check_model(model)
