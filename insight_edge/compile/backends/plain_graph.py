# SPDX-License-Identifier: Apache-2.0
"""An ONNX graph in fewer words, for toolchains that know fewer than the standard has.

Functions, and operators that onnx has a body of, are said in other operators;
what can be computed before the model runs, sizes among it, becomes a constant.
Answers stay the same. Runs in the environment of a toolchain.
"""

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import (
    ModelProto,
    NodeProto,
    TensorProto,
    TypeProto,
    ValueInfoProto,
    defs,
    helper,
    inliner,
    numpy_helper,
)
from onnx.shape_inference import infer_shapes

from insight_edge.compile.graph.light import LARGE_ELEMENTS
from insight_edge.compile.graph.reference import Reference

Constants = dict[str, NDArray[Any]]
Types = Mapping[str, Any]
Rewrite = Callable[[NodeProto, Types], list[NodeProto] | None]
"""What a call is said in instead, by its node and the types of tensors; None for no change."""

SIZES = frozenset({"Shape", "Size"})

CARRIED_ALONE = 4
"""The first version of the format in which tensors that a graph carries need not be inputs too."""

MAX_DEPTH = 8
"""Bodies that call operators with bodies; of the standard's two levels do."""


def inlined(model: ModelProto, decomposed: Callable[[NodeProto], bool]) -> ModelProto:
    """Return the model without functions of its own and without some calls of the standard's.

    Args:
        model: that was checked; it may be changed.
        decomposed: says of a call of an operator that onnx has a body of whether that is put there.
    """
    plain = inliner.inline_local_functions(model) if model.functions else model
    for _ in range(MAX_DEPTH):
        called = [_is_standard(node) and decomposed(node) for node in plain.graph.node]
        if not any(called):
            break
        types = tensor_types(plain)
        nodes: list[NodeProto] = []
        for node, is_called in zip(plain.graph.node, called, strict=True):
            nodes += _body(node, types, plain) if is_called else [node]
        del plain.graph.node[:]
        plain.graph.node.extend(nodes)
    return plain


def _body(node: NodeProto, types: Types, model: ModelProto) -> list[NodeProto]:
    """Return the body that onnx has of a call, its own tensors named after the answer."""
    _complete(node, model)
    faces = {name: types.get(name, TypeProto.Tensor()) for name in (*node.input, *node.output)}
    values = {
        name: ValueInfoProto(name=name, type=TypeProto(tensor_type=tensor))
        for name, tensor in faces.items()
        if name
    }
    taken = [values[name] for name in dict.fromkeys(node.input) if name]
    given = [values[name] for name in node.output if name]
    graph = helper.make_graph([node], "call", taken, given)
    alone = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    ids = [("", node.op_type)]
    body = inliner.inline_selected_functions(alone, ids, inline_schema_functions=True).graph.node
    for each in body:
        for names in (each.input, each.output):
            names[:] = [n if n in faces else f"{given[0].name}/{n}" for n in names]
    return list(body)


def rewrite(model: ModelProto, rewrites: Mapping[str, Rewrite]) -> None:
    """Say calls of these operators of the standard in other calls."""
    types = tensor_types(model)
    nodes = []
    for node in model.graph.node:
        said = rewrites.get(node.op_type) if _is_standard(node) else None
        nodes += (said(node, types) if said else None) or [node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def of_one_row(model: ModelProto) -> ModelProto:
    """Return the model with 1 for the first dimension of its inputs."""
    settled = ModelProto()
    settled.CopyFrom(model)
    carried = {tensor.name for tensor in settled.graph.initializer}
    for value in settled.graph.input:
        if value.name not in carried:
            value.type.tensor_type.shape.dim[0].dim_value = 1
    return settled


def fold(model: ModelProto, kept: Collection[str] = ()) -> None:
    """Replace the nodes of a model whose answers are small and known by what they answer.

    Args:
        model: that was checked; it is changed.
        kept: operators that stay.
    """
    # A target of a Reshape that became a constant tells more sizes.
    while _folded(model, kept) and any(node.op_type in SIZES for node in model.graph.node):
        pass


def _folded(model: ModelProto, kept: Collection[str]) -> bool:
    """Replace what is known of the shapes as they are; return whether anything was."""
    graph, types = model.graph, tensor_types(model)
    known = {t.name: numpy_helper.to_array(t) for t in graph.initializer if _is_small(t)}
    nodes, carried = [], []
    for node in graph.node:
        answers = None if node.op_type in kept else _answers(node, known, types, model)
        if answers is None:
            nodes.append(node)
            continue
        known.update(answers)
        carried += [numpy_helper.from_array(array, name) for name, array in answers.items()]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(carried)
    return bool(carried)


def tensor_types(model: ModelProto) -> dict[str, Any]:
    """Return the type that is inferred for each tensor of the graph, by name."""
    # What was written down may be of other sizes, and what is carried has to be no input.
    del model.graph.value_info[:]
    model.ir_version = max(model.ir_version, CARRIED_ALONE)
    graph = infer_shapes(model, data_prop=True).graph
    values = (*graph.input, *graph.value_info, *graph.output)
    found = {value.name: value.type.tensor_type for value in values}
    for tensor in graph.initializer:
        made = helper.make_tensor_type_proto(tensor.data_type, tensor.dims)
        found[tensor.name] = made.tensor_type
    return found


def _is_standard(node: NodeProto) -> bool:
    return node.domain in {"", "ai.onnx"}


def _complete(node: NodeProto, model: ModelProto) -> None:
    """Write down the attributes that are left to their defaults: bodies refer to them."""
    opset = next(o.version for o in model.opset_import if o.domain in {"", "ai.onnx"})
    given = {attribute.name for attribute in node.attribute}
    for name, attribute in defs.get_schema(node.op_type, opset).attributes.items():
        if name not in given and attribute.default_value.name:
            node.attribute.append(attribute.default_value)


def _answers(
    node: NodeProto, known: Constants, types: Types, model: ModelProto
) -> Constants | None:
    if node.op_type in SIZES and _is_standard(node):
        return _sizes(node, types.get(node.input[0]))
    graphs = any(a.HasField("g") or len(a.graphs) > 0 for a in node.attribute)
    if graphs or any(name not in known for name in node.input if name):
        return None
    return _computed(node, known, model)


def _sizes(node: NodeProto, tensor: Any) -> Constants | None:
    if tensor is None or not tensor.HasField("shape"):
        return None
    bounds = {attribute.name: attribute.i for attribute in node.attribute}
    dims = list(tensor.shape.dim)[bounds.get("start", 0) : bounds.get("end")]
    if not all(dim.HasField("dim_value") for dim in dims):
        return None
    sizes = np.array([dim.dim_value for dim in dims], np.int64)
    return {node.output[0]: sizes if node.op_type == "Shape" else np.array(sizes.prod(), np.int64)}


def _computed(node: NodeProto, known: Constants, model: ModelProto) -> Constants | None:
    """Return what ONNX Runtime answers, None where it does not or where that is large."""
    outputs = [name for name in node.output if name]
    faces = [helper.make_empty_tensor_value_info(name) for name in outputs]
    carried = [numpy_helper.from_array(known[n], n) for n in sorted(set(node.input) - {""})]
    graph = helper.make_graph([node], "folded", [], faces, carried)
    alone = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    try:
        answers = Reference(alone.SerializeToString()).answers({}, outputs)
    except Exception:  # noqa: BLE001 (the toolchain then has to take it as it is)
        return None
    if any(not isinstance(a, np.ndarray) or a.size >= LARGE_ELEMENTS for a in answers.values()):
        return None
    return answers


def _is_small(tensor: TensorProto) -> bool:
    return bool(math.prod(tensor.dims) < LARGE_ELEMENTS)
