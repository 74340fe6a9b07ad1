# SPDX-License-Identifier: Apache-2.0
"""Whether bytes are an ONNX model that may be compiled.

Everything that later code relies on is established here, before any compiler
sees the model: it is small enough, complete in one file, made of standard
operators of a supported version, and no tensor claims more than it carries.
Nothing is converted or repaired.
"""

import math
from collections import Counter
from collections.abc import Iterator
from typing import TypeAlias

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # no stubs
from onnx import AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto

from insight_edge.errors import ModelError

MAX_MODEL_BYTES = 2**31 - 1
"""Protobuf reads no larger message; an edge model is a hundred times smaller."""

MAX_NODES = 200_000
"""Operators, those inside functions counted each time they are called."""

OPSETS = range(11, 23)
"""From the first that can be quantised to the last before `Attention` became one operator, which
most compilers do not have."""

STANDARD_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})

FOUR_BIT_TYPES = frozenset({TensorProto.UINT4, TensorProto.INT4})
"""Packed two to a byte, so that a tensor has up to twice the elements it seems to carry."""

Body: TypeAlias = GraphProto | FunctionProto


def model_from_bytes(data: bytes) -> ModelProto:
    """Return the checked ONNX model in `data`.

    Raises:
        ModelError: the first thing that is wrong with it.
    """
    if len(data) > MAX_MODEL_BYTES:
        raise ModelError(f"{len(data)} bytes, at most {MAX_MODEL_BYTES} are read")
    try:
        model = onnx.load_model_from_string(data)
    except DecodeError as error:
        raise ModelError("not an ONNX model") from error
    check_model(model)
    return model


def check_model(model: ModelProto) -> None:
    """Refuse a model that must not be compiled.

    Raises:
        ModelError: the first thing that is wrong with it.
    """
    if not model.graph.node or not model.graph.output:
        raise ModelError("not an ONNX model: it has no operators or no outputs")
    opset_of(model)
    _refuse_expansion(model)
    for body in _bodies(model):
        _refuse_operators(body, model)
        for owner, tensor in _tensors(body):
            _refuse_tensor(owner, tensor)
    _refuse_faces(model.graph)
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:
        raise ModelError(f"not valid ONNX: {_one_line(error)}") from error


def opset_of(model: ModelProto) -> int:
    """Return the version of the standard operators; some exporters write it twice.

    Raises:
        ModelError: absent, contradictory or outside `OPSETS`.
    """
    versions = {o.version for o in model.opset_import if o.domain in {"", "ai.onnx"}}
    if len(versions) != 1:
        raise ModelError(f"its opset is not one version: {sorted(versions)}")
    version = versions.pop()
    if version not in OPSETS:
        raise ModelError(
            f"opset {version} is not supported",
            hint=f"export with opset 18; {OPSETS.start} to {OPSETS.stop - 1} are read",
        )
    return int(version)


def called_names(node: NodeProto) -> tuple[str, str]:
    """Return (domain, operator) with the standard domain written as the empty string."""
    return "" if node.domain == "ai.onnx" else node.domain, node.op_type


def _bodies(model: ModelProto) -> Iterator[Body]:
    """Yield the graph, all functions and all subgraphs inside either."""
    waiting: list[Body] = [model.graph, *model.functions]
    while waiting:
        body = waiting.pop()
        yield body
        waiting += (graph for node in body.node for graph in subgraphs(node))


def subgraphs(node: NodeProto) -> Iterator[GraphProto]:
    """Yield the graphs that a control-flow operator holds."""
    for attribute in node.attribute:
        if attribute.type == AttributeProto.GRAPH:
            yield attribute.g
        yield from attribute.graphs


def _refuse_expansion(model: ModelProto) -> None:
    """Refuse functions that call themselves, or that unfold to more than `MAX_NODES`."""
    functions = {(f.domain, f.name): f for f in model.functions}
    sizes: dict[tuple[str, str], int] = {}
    waiting = list(functions)
    opened: set[tuple[str, str]] = set()
    while waiting:
        name = waiting[-1]
        calls = _calls(functions[name])
        inner = [c for c in calls if c in functions and c not in sizes]
        if not inner:
            sizes[name] = _unfolded(calls, sizes)
            waiting.pop()
        elif name in opened or name in inner:
            raise ModelError(f"function {'.'.join(name)} calls itself")
        opened.add(name)
        waiting += [c for c in inner if c not in sizes]
    if _unfolded(_calls(model.graph), sizes) > MAX_NODES:
        raise ModelError(f"more than {MAX_NODES} operators once its functions are unfolded")


def _calls(body: Body) -> Counter[tuple[str, str]]:
    """Return how often a body calls each operator, its subgraphs included."""
    calls: Counter[tuple[str, str]] = Counter()
    waiting = [body]
    while waiting:
        for node in waiting.pop().node:
            calls[called_names(node)] += 1
            waiting += subgraphs(node)
    return calls


def _unfolded(calls: Counter[tuple[str, str]], sizes: dict[tuple[str, str], int]) -> int:
    return sum(times * sizes.get(name, 1) for name, times in calls.items())


def _refuse_operators(body: Body, model: ModelProto) -> None:
    functions = {(f.domain, f.name) for f in model.functions}
    for node in body.node:
        name = called_names(node)
        if name[0] not in STANDARD_DOMAINS and name not in functions:
            raise ModelError(
                f"node '{node.name}' is the custom operator {'.'.join(name)}",
                hint="export with standard ONNX operators only",
            )


def _tensors(body: Body) -> Iterator[tuple[str, TensorProto]]:
    """Yield every tensor a body carries, and what to call it."""
    if isinstance(body, GraphProto):
        for tensor in body.initializer:
            yield tensor.name, tensor
        for sparse in body.sparse_initializer:
            yield sparse.values.name, sparse.values
            yield sparse.values.name, sparse.indices
    for node in body.node:
        for attribute in node.attribute:
            single = (attribute.t,) if attribute.HasField("t") else ()
            for tensor in (*single, *attribute.tensors):
                yield tensor.name or node.name or node.op_type, tensor


def _refuse_tensor(owner: str, tensor: TensorProto) -> None:
    if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
        raise ModelError(
            f"tensor '{owner}' is stored in another file",
            hint="export with external_data=False, so that the model is one file",
        )
    if any(size < 0 for size in tensor.dims):
        raise ModelError(f"tensor '{owner}' has a negative dimension")
    claimed, carried = math.prod(tensor.dims), _carried(tensor)
    if claimed > carried:
        raise ModelError(f"tensor '{owner}' claims {claimed} elements and carries {carried}")


def _carried(tensor: TensorProto) -> int:
    """Return the most elements that the data of a tensor can be."""
    typed = (tensor.float_data, tensor.int32_data, tensor.int64_data, tensor.double_data,
             tensor.uint64_data, tensor.string_data)  # fmt: skip
    packed = 2 if tensor.data_type in FOUR_BIT_TYPES else 1
    if tensor.HasField("raw_data"):
        return packed * len(tensor.raw_data) // max(1, _item_bytes(tensor.data_type))
    return packed * max(map(len, typed))


def _item_bytes(data_type: int) -> int:
    try:
        return int(onnx.helper.tensor_dtype_to_np_dtype(data_type).itemsize)
    except (KeyError, ValueError) as error:
        raise ModelError(f"tensor type {data_type} is not known") from error


def _refuse_faces(graph: GraphProto) -> None:
    """Refuse inputs and outputs that no NumPy array of numbers can be."""
    carried = {tensor.name for tensor in graph.initializer}
    for kind, values in (("input", graph.input), ("output", graph.output)):
        for value in values:
            tensor = value.type.tensor_type
            if not value.type.HasField("tensor_type"):
                raise ModelError(f"{kind} '{value.name}' is not a tensor")
            if tensor.elem_type == TensorProto.STRING:
                raise ModelError(
                    f"{kind} '{value.name}' holds strings", hint="use numbers; name classes later"
                )
            if not tensor.HasField("shape"):
                raise ModelError(
                    f"{kind} '{value.name}' has no shape",
                    hint="export with shapes; dimensions may be symbolic",
                )
    if not [value for value in graph.input if value.name not in carried]:
        raise ModelError("it has no inputs")


def _one_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
