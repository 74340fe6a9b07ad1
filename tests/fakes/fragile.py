# SPDX-License-Identifier: Apache-2.0
"""A digits network that answers as well with one channel of huge range, and breaks under INT8.

The first layer writes one channel that is `wide` times larger than it has to be,
and the next reads it so many times smaller: the same function in FP32, while one
scale of 8 bits for the whole activation leaves the other channels nothing.
"""

from functools import cache

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper
from sklearn.datasets import load_digits
from sklearn.linear_model import RidgeClassifier

from tests.fakes.onnx_models import Weights, model_of, value, weights_of

CHANNELS = 24
TRAINING_ROWS = 600
WIDE = 400.0
"""Enough to break it with either engine."""

Digits = tuple[NDArray[np.float32], NDArray[np.int64]]


def digits() -> Digits:
    """Return all images (n, 1, 8, 8) and their classes."""
    loaded = load_digits()
    return (loaded.images[:, None] / 16).astype(np.float32), loaded.target.astype(np.int64)


def held_out() -> Digits:
    """Return what the network was not trained on."""
    images, classes = digits()
    return images[TRAINING_ROWS:], classes[TRAINING_ROWS:]


@cache
def fragile_model(wide: float = WIDE) -> ModelProto:
    """Convolution, 1x1 convolution with SiLU, depthwise, dense; right on 94 % of other digits."""
    weights = weights_of(
        0, stem=(CHANNELS, 1, 3, 3), mix=(CHANNELS, CHANNELS, 1, 1), dw=(CHANNELS, 1, 3, 3)
    )
    weights["stem"][5] *= wide
    weights["mix"][:, 5] /= wide
    images, classes = digits()
    body = _model(_body(), "features", CHANNELS * 16, weights)
    session = onnxruntime.InferenceSession(body.SerializeToString())
    features = session.run(None, {"x": images[:TRAINING_ROWS]})[0]
    fitted = RidgeClassifier(alpha=3.0).fit(features, classes[:TRAINING_ROWS])
    dense = {"hw": fitted.coef_.T, "hb": fitted.intercept_}
    head = helper.make_node("Gemm", ["features", "hw", "hb"], ["logits"], name="head")
    carried = weights | {name: array.astype(np.float32) for name, array in dense.items()}
    return _model([*_body(), head], "logits", 10, carried)


def _model(nodes: list[NodeProto], output: str, size: int, weights: Weights) -> ModelProto:
    return model_of(nodes, [value("x", ("b", 1, 8, 8))], [value(output, ("b", size))], weights)


def _body() -> list[NodeProto]:
    node, same = helper.make_node, [1] * 4
    return [
        node("Conv", ["x", "stem"], ["c1"], pads=same, name="stem"),
        node("Relu", ["c1"], ["r1"], name="relu1"),
        node("Conv", ["r1", "mix"], ["c2"], name="mix"),
        node("Sigmoid", ["c2"], ["s2"], name="sigmoid"),
        node("Mul", ["c2", "s2"], ["m2"], name="silu"),
        node("Conv", ["m2", "dw"], ["c3"], pads=same, group=CHANNELS, name="depthwise"),
        node("Relu", ["c3"], ["r3"], name="relu3"),
        node("MaxPool", ["r3"], ["p3"], kernel_shape=[2, 2], strides=[2, 2], name="pool"),
        node("Flatten", ["p3"], ["features"], name="flatten"),
    ]
