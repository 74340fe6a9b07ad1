# SPDX-License-Identifier: Apache-2.0
"""What can be seen of an ONNX layer that makes 8 bits too few for it.

One scale serves a whole activation: a channel that is much larger than the
others leaves them few of the 256 steps. Only words come out of here; how much
harm is done is measured (`compile.quantize.sensitivity`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto

from insight_edge.compile.quantize.calibration import Arrays
from insight_edge.compile.quantize.int8 import QUANTIZABLE

WIDE = 30.0
"""A channel so many times larger than the median one leaves that one 3 bits of 8."""

ROWS = 4

Ranges = Mapping[str, float]
"""By tensor: how many times larger its largest channel is than its median one."""

Answer = Callable[[bytes, Iterable[Arrays]], list[dict[str, Any]]]

_SMOOTH = {
    "Sigmoid": "sigmoid or SiLU",
    "HardSwish": "hard swish",
    "HardSigmoid": "hard sigmoid",
    "Erf": "GELU",
    "Gelu": "GELU",
    "Exp": "exponential",
    "LayerNormalization": "layer normalisation",
}


def multiplies(node: NodeProto) -> bool:
    """Return whether an operator multiplies matrices, and so begins a layer."""
    return node.op_type in QUANTIZABLE


def layer_ranges(model: ModelProto, rows: Iterable[Arrays], answer: Answer) -> Ranges:
    """Return how uneven the channels of every layer's activations are on a few rows.

    Args:
        model: whose operators are run as they stand.
        rows: batches by input name; the first few are used.
        answer: runs a model on batches.
    """
    names = {node.input[0] for node in model.graph.node if multiplies(node)}
    names -= {t.name for t in model.graph.initializer}
    names -= {v.name for v in (*model.graph.input, *model.graph.output)}
    shown = ModelProto()
    shown.CopyFrom(model)
    shown.graph.output.extend(onnx.ValueInfoProto(name=name) for name in sorted(names))
    few = [row for row, _ in zip(rows, range(ROWS), strict=False)]
    found = answer(shown.SerializeToString(), few)
    return {name: _unevenness([batch[name] for batch in found]) for name in names}


def why_hard(model: ModelProto, nodes: Sequence[NodeProto], ranges: Ranges) -> str:
    """Return what is hard about a layer, in words; the most telling first."""
    told = []
    first = next((node for node in nodes if multiplies(node)), nodes[0])
    if _is_depthwise(first, model):
        told.append("depthwise")
    told += _uneven("an input", [name for node in nodes for name in node.input], ranges)
    told += _uneven("an output", [name for node in nodes for name in node.output], ranges)
    if any(node.op_type == "Softmax" for node in nodes):
        told.append("attention softmax input")
    told += [words for op, words in _SMOOTH.items() if any(n.op_type == op for n in nodes)]
    inputs = {value.name for value in model.graph.input}
    if any(name in inputs for node in nodes for name in node.input):
        told.append("first layer")
    outputs = {value.name for value in model.graph.output}
    if any(name in outputs for node in nodes for name in node.output):
        told.append("last layer")
    return ", ".join(dict.fromkeys(told)) or "adds the most noise"


def _uneven(which: str, names: Sequence[str], ranges: Ranges) -> list[str]:
    widest = max((ranges.get(name, 0.0) for name in names), default=0.0)
    return [f"{which} channel {widest:.0f}x the median one"] if widest >= WIDE else []


def _is_depthwise(node: NodeProto, model: ModelProto) -> bool:
    groups = next((a.i for a in node.attribute if a.name == "group"), 1)
    weights = next((t for t in model.graph.initializer if t.name in node.input[1:2]), None)
    return groups > 1 and weights is not None and len(weights.dims) > 1 and weights.dims[1] == 1


def _unevenness(batches: Sequence[NDArray[Any]]) -> float:
    """Return the largest channel's magnitude over the median one's; channels come second."""
    if not batches or batches[0].ndim < 2 or batches[0].dtype.kind != "f":
        return 0.0
    axis = 1 if batches[0].ndim == 4 else batches[0].ndim - 1
    sizes = np.max([_channel_sizes(batch, axis) for batch in batches], axis=0)
    median = float(np.median(sizes))
    return float(sizes.max(initial=0.0)) / median if median > 0 else 0.0


def _channel_sizes(batch: NDArray[Any], axis: int) -> NDArray[np.float64]:
    others = tuple(a for a in range(batch.ndim) if a != axis)
    sizes: NDArray[np.float64] = np.abs(batch.astype(np.float64)).max(axis=others)
    return sizes
