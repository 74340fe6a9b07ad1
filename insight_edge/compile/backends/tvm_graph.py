# SPDX-License-Identifier: Apache-2.0
"""An ONNX graph as TVM's frontend takes it; runs where TVM is installed.

The frontend looks at the main graph alone, wants axes, sizes and the like as
constants that the graph carries, lacks operators, and leaves out attributes and
outputs of some: these are said in other operators. The answers stay the same.
"""

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from insight_edge.compile.backends.plain_graph import (
    Rewrite,
    Types,
    fold,
    inlined,
    of_one_row,
    rewrite,
    tensor_types,
)
from insight_edge.compile.backends.tvm_operators import DECOMPOSED

FLOATS = frozenset({TensorProto.FLOAT16, TensorProto.FLOAT, TensorProto.DOUBLE})


def readable(model: ModelProto, *, one_row: bool) -> ModelProto:
    """Return the model for the frontend.

    Args:
        model: that was checked; it may be changed.
        one_row: the first dimension of its inputs becomes 1.
    """
    plain = inlined(
        of_one_row(model) if one_row else model, lambda node: node.op_type in DECOMPOSED
    )
    if odd := _oddly_normalised(plain):
        plain = inlined(plain, lambda node: node.output[0] in odd)
    _leave_out_unread(plain)
    rewrite(plain, REWRITES)
    fold(plain)
    _count_up(plain)
    return plain


def _oddly_normalised(model: ModelProto) -> set[str]:
    """Return the answers of normalisations that have to make a mean too, or go over all axes."""
    read = _read(model)
    types = tensor_types(model)
    found = set()
    for node in model.graph.node:
        if node.op_type == "LayerNormalization" and set(node.output[1:]) & read:
            found.add(node.output[0])
        if node.op_type == "RMSNormalization":
            axis = next((a.i for a in node.attribute if a.name == "axis"), -1)
            rank = len(types[node.input[0]].shape.dim)
            found |= {node.output[0]} if axis in {0, -rank} else set()
    return found


def _leave_out_unread(model: ModelProto) -> None:
    """Drop the last outputs of nodes while nobody reads them."""
    read = _read(model)
    for node in model.graph.node:
        while len(node.output) > 1 and node.output[-1] not in read:
            node.output.pop()


def _read(model: ModelProto) -> set[str]:
    names = {name for node in model.graph.node for name in node.input}
    return names | {value.name for value in model.graph.output}


def _count_up(model: ModelProto) -> None:
    """Say ranges 0, 1, 2 … of an open size as sums of ones: of a range the length is forgotten.

    Positions of a sequence are such, and all that is added to them.
    """
    whole = (t for t in model.graph.initializer if t.data_type == TensorProto.INT64 and not t.dims)
    known = {tensor.name: int(numpy_helper.to_array(tensor)) for tensor in whole}
    nodes = []
    for node in model.graph.node:
        counts = node.op_type == "Range" and [known.get(n) for n in node.input[::2]] == [0, 1]
        nodes += _ones_summed(node, model) if counts else [node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _ones_summed(node: NodeProto, model: ModelProto) -> list[NodeProto]:
    limit, answer = node.input[1], node.output[0]
    one, axis, axes, size, ones = (f"{answer}.{n}" for n in ("one", "axis", "axes", "size", "ones"))
    values = {one: np.int64(1), axis: np.int64(0), axes: np.zeros(1, np.int64)}
    model.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()
    )
    return [
        helper.make_node("Unsqueeze", [limit, axes], [size]),
        helper.make_node("Expand", [one, size], [ones]),
        helper.make_node("CumSum", [ones, axis], [answer], exclusive=1),
    ]


def _one_sided(node: NodeProto, types: Types) -> list[NodeProto] | None:
    """Say which infinity is meant: the frontend detects both."""
    sides = {a.name: a.i for a in node.attribute}
    left_out = [
        comparison
        for name, comparison in (("detect_negative", "Greater"), ("detect_positive", "Less"))
        if not sides.get(name, 1)
    ]
    if not left_out:
        return None
    source, answer = node.input[0], node.output[0]
    zero = np.zeros((), helper.tensor_dtype_to_np_dtype(types[source].elem_type))
    both, nothing = f"{answer}.both", f"{answer}.zero"
    made = [
        helper.make_node("IsInf", [source], [both]),
        helper.make_node("Constant", [], [nothing], value=numpy_helper.from_array(zero)),
    ]
    for comparison in left_out:
        side, last = f"{answer}.{comparison}", both
        both = answer if comparison == left_out[-1] else f"{answer}.one"
        made.append(helper.make_node(comparison, [source, nothing], [side]))
        made.append(helper.make_node("And", [last, side], [both]))
    return made


def _kept(node: NodeProto, types: Types) -> list[NodeProto] | None:  # noqa: ARG001 (a `Rewrite`)
    """Say that a dropout outside of training keeps everything: its mask would be of floats."""
    if len(node.output) == 1:
        return None
    answer, mask = node.output
    true = helper.make_tensor("true", TensorProto.BOOL, [1], [True])
    return [
        helper.make_node("Identity", [node.input[0]], [answer]),
        helper.make_node("Shape", [node.input[0]], [f"{mask}.shape"]),
        helper.make_node("ConstantOfShape", [f"{mask}.shape"], [mask], value=true),
    ]


def _of_one_type(node: NodeProto, types: Types) -> list[NodeProto] | None:
    """Take powers in one type, and those of integers in float64."""
    base, exponent = (types[name].elem_type for name in node.input)
    if base == exponent and base in FLOATS:
        return None
    wide = base if base in FLOATS else TensorProto.DOUBLE
    answer = node.output[0]
    parts = [f"{answer}.{side}" for side in ("base", "exponent", "power")]
    return [
        helper.make_node("Cast", [node.input[0]], [parts[0]], to=wide),
        helper.make_node("Cast", [node.input[1]], [parts[1]], to=wide),
        helper.make_node("Pow", parts[:2], [parts[2]]),
        helper.make_node("Cast", [parts[2]], [answer], to=base),
    ]


def _eye(node: NodeProto, types: Types) -> list[NodeProto] | None:
    """Make a matrix of the type of its input, then of the type asked for."""
    wanted = next((a.i for a in node.attribute if a.name == "dtype"), None)
    if wanted in {None, types[node.input[0]].elem_type}:
        return None
    kept = {a.name: a.i for a in node.attribute if a.name != "dtype"}
    made = f"{node.output[0]}.made"
    return [
        helper.make_node("EyeLike", list(node.input), [made], **kept),
        helper.make_node("Cast", [made], list(node.output), to=wanted),
    ]


def _wide(node: NodeProto, types: Types) -> list[NodeProto] | None:
    """Add up numbers of half precision in float32: TVM's kernels keep sums in the type of terms."""
    halves = [n for n in node.input if n and types[n].elem_type == TensorProto.FLOAT16]
    if not halves:
        return None
    answer = node.output[0]
    wide = {name: f"{answer}.wide.{place}" for place, name in enumerate(halves)}
    made = [helper.make_node("Cast", [n], [w], to=TensorProto.FLOAT) for n, w in wide.items()]
    summed = NodeProto()
    summed.CopyFrom(node)
    summed.input[:] = [wide.get(name, name) for name in node.input]
    summed.output[0] = f"{answer}.sum"
    narrow = helper.make_node("Cast", [summed.output[0]], [answer], to=TensorProto.FLOAT16)
    return [*made, summed, narrow]


SUMS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul", "ReduceMean", "ReduceSum", "Softmax"})

REWRITES: dict[str, Rewrite] = {
    **dict.fromkeys(SUMS, _wide),
    "Dropout": _kept,
    "EyeLike": _eye,
    "IsInf": _one_sided,
    "Pow": _of_one_type,
}
