# SPDX-License-Identifier: Apache-2.0
"""A model made ready for ONNX Runtime's quantiser, which stumbles over some that are sound.

What is computed stays as it is; what is quantised, and how, is chosen in `qdq`.
"""

from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
import onnx.version_converter

from insight_edge.compile.graph.parts import subgraphs

SCALES_A_CHANNEL = 13
"""The first opset in which a scale may be given for each channel."""

BIASED = frozenset({"Conv", "ConvTranspose", "Gemm"})
"""Operators whose third input the quantiser takes for a bias."""


def made_ready(model: Path, *, named: bool) -> onnx.ModelProto:
    """Return a model with shapes inferred, what can be folded folded, and no bias shared.

    Args:
        model: ONNX file.
        named: give every operator a name of its own.
    """
    with TemporaryDirectory() as scratch:
        place = Path(scratch) / "prepared.onnx"
        _pre_process(_with_scales_a_channel(model, Path(scratch)), place)
        prepared = onnx.load(place)
    _own_biases(prepared.graph)
    _forget_origin(prepared.graph)
    taken: set[str] = set()
    for index, node in enumerate(prepared.graph.node if named else ()):
        if not node.name or node.name in taken:
            node.name = f"{node.op_type}_{index}"
        taken.add(node.name)
    return prepared


def _with_scales_a_channel(model: Path, scratch: Path) -> Path:
    """Return the model, or a file of it at the first opset that has a scale for each channel."""
    given = onnx.load(model)
    versions = {one.version for one in given.opset_import if one.domain in {"", "ai.onnx"}}
    if not versions or min(versions) >= SCALES_A_CHANNEL:
        return model
    newer = scratch / "newer.onnx"
    onnx.save(onnx.version_converter.convert_version(given, SCALES_A_CHANNEL), newer)
    return newer


def _pre_process(model: Path, place: Path) -> None:
    """Infer shapes and fold what can be folded.

    Symbolic shapes know more than ONNX's own inference, and fail on graphs that are sound: a
    `ReduceMin` of opset 18 before a `Reshape` is enough.
    """
    from onnxruntime.quantization.shape_inference import quant_pre_process

    try:
        quant_pre_process(model, place)
    except Exception:  # noqa: BLE001 (whatever it trips over, it can be done without)
        quant_pre_process(model, place, skip_symbolic_shape=True)


def _forget_origin(graph: onnx.GraphProto) -> None:
    """Clear where in its author's program each operator comes from: paths, and half a kB each."""
    for one in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info):
        del one.metadata_props[:]
        one.doc_string = ""
    for node in graph.node:
        for inner in subgraphs(node):
            _forget_origin(inner)


def _own_biases(graph: onnx.GraphProto) -> None:
    """Give every operator a bias of its own, in one dimension.

    The quantiser would, under the name of the first and a number, which another tensor may have.
    A bias of [1, units], as it comes of TensorFlow, it takes for one number.
    """
    weights = {one.name: one for one in graph.initializer}
    taken = {name for node in graph.node for name in (*node.input, *node.output)} | weights.keys()
    met: set[str] = set()
    for node in graph.node:
        if node.op_type not in BIASED or len(node.input) < 3 or node.input[2] not in weights:
            continue
        bias = node.input[2]
        units = [size for size in weights[bias].dims if size != 1] or [1]
        flat = len(units) == 1 < len(weights[bias].dims)
        if bias in met or flat:
            own = graph.initializer.add()
            own.CopyFrom(weights[bias])
            own.dims[:] = units if flat else own.dims
            own.name = next(n for i in count() if (n := f"{bias}.own{i}") not in taken)
            node.input[2] = own.name
            taken.add(own.name)
        met.add(bias)
