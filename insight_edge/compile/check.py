# SPDX-License-Identifier: Apache-2.0
"""Whether bytes are an ONNX model that may be compiled.

Everything that later code relies on is established here, before any compiler
sees the model: it is small enough, complete in one file, joined as a graph must
be, made of standard operators of a supported version, and no tensor carries
another amount than it claims. Nothing is converted or repaired. The last word
is onnx's own checker, which hostile bytes can crash: files of strangers are
checked in a child process (`compile.importers.onnx`).
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TypeAlias

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # no stubs
from onnx import (
    AttributeProto,
    FunctionProto,
    GraphProto,
    ModelProto,
    NodeProto,
    TensorProto,
    ValueInfoProto,
)

from insight_edge.compile.light import light_copy
from insight_edge.compile.unprovable import refuse_unprovable
from insight_edge.compile.wiring import node_label, refuse_text, refuse_wiring
from insight_edge.errors import ModelError

MAX_MODEL_BYTES = 2**31 - 1
"""Protobuf reads no larger message; an edge model is a hundred times smaller."""

MAX_NODES = 200_000
"""Operators, those inside functions counted each time they are called."""

MAX_FUNCTION_DEPTH = 64
"""Functions that call functions; exporters nest a handful, onnx itself gives up at 100."""

OPSETS = range(11, 26)
"""From the first that can be quantised to the last that the conformance corpora have models of;
which of the newer operators a compiler does not have is for its backend to say."""

STANDARD_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})

PACKED_BITS = {
    TensorProto.UINT4: 4,
    TensorProto.INT4: 4,
    TensorProto.FLOAT4E2M1: 4,
    TensorProto.UINT2: 2,
    TensorProto.INT2: 2,
}
"""Bits of an element, of types that are packed into bytes."""

TYPED_FIELDS = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data",
                "string_data")  # fmt: skip

NUMBERS = frozenset({
    TensorProto.BOOL, TensorProto.FLOAT16, TensorProto.FLOAT, TensorProto.DOUBLE,
    TensorProto.INT8, TensorProto.INT16, TensorProto.INT32, TensorProto.INT64,
    TensorProto.UINT8, TensorProto.UINT16, TensorProto.UINT32, TensorProto.UINT64,
})  # fmt: skip
"""Types that callers can pass and receive."""

Body: TypeAlias = GraphProto | FunctionProto
Versions: TypeAlias = Mapping[str, int]


def model_from_bytes(data: bytes) -> ModelProto:
    """Return the checked ONNX model in `data`.

    Raises:
        ModelError: the first thing that is wrong with it.
    """
    refuse_size(len(data))
    model = parse_model(data)
    check_model(model)
    return model


def refuse_size(length_bytes: int) -> None:
    """Raise where a model is larger than is ever read.

    Raises:
        ModelError: it is.
    """
    if length_bytes > MAX_MODEL_BYTES:
        raise ModelError(f"{length_bytes} bytes, at most {MAX_MODEL_BYTES} are read")


def parse_model(data: bytes) -> ModelProto:
    """Return what `data` says, unchecked.

    Raises:
        ModelError: it says nothing.
    """
    try:
        return onnx.load_model_from_string(data)
    except DecodeError as error:
        raise ModelError("not an ONNX model") from error


def check_model(model: ModelProto) -> None:
    """Refuse a model that must not be compiled.

    Raises:
        ModelError: the first thing that is wrong with it.
    """
    if not model.graph.node or not model.graph.output:
        raise ModelError("not an ONNX model: it has no operators or no outputs")
    refuse_text(model)
    opset_of(model)
    _refuse_expansion(model)
    for body, versions in _bodies(model):
        _refuse_operators(body, versions, model)
    for owner, tensor in tensors_of(model):
        _refuse_tensor(owner, tensor)
    refuse_wiring(model)
    for body, _ in _bodies(model):
        refuse_unprovable(body)
    _refuse_faces(model.graph)
    try:
        onnx.checker.check_model(light_copy(model), full_check=True)
    except Exception as error:
        raise ModelError(f"not valid ONNX: {_one_line(error)}") from error


def opset_of(model: ModelProto) -> int:
    """Return the version of the standard operators; some exporters write it twice.

    It is 0 for a model of classical operators alone, which need not say one.

    Raises:
        ModelError: contradictory or outside `OPSETS`.
    """
    versions = {o.version for o in model.opset_import if o.domain in {"", "ai.onnx"}}
    if not versions:
        return 0
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


def tensors_of(model: ModelProto) -> Iterator[tuple[str, TensorProto]]:
    """Yield every tensor that a model carries, wherever, and what to call it."""
    for body, _ in _bodies(model):
        yield from _tensors(body)


def raw_bytes(data_type: int, elements: int) -> int:
    """Return the bytes of so many elements of a tensor as ONNX stores them.

    Raises:
        ModelError: there is no such type, or its elements have no fixed length.
    """
    if data_type == TensorProto.STRING:
        raise ModelError("text is not stored as bytes of a tensor")
    packed = PACKED_BITS.get(data_type)
    return elements * _item_bytes(data_type) if packed is None else (elements * packed + 7) // 8


def _bodies(model: ModelProto) -> Iterator[tuple[Body, Versions]]:
    """Yield the graph, all functions and all subgraphs inside either, with versions by domain."""
    waiting: list[tuple[Body, Versions]] = [
        (body, {"" if o.domain == "ai.onnx" else o.domain: o.version for o in owner.opset_import})
        for body, owner in ((model.graph, model), *((f, f) for f in model.functions))
    ]
    while waiting:
        body, versions = waiting.pop()
        yield body, versions
        waiting += [(graph, versions) for node in body.node for graph in subgraphs(node)]


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
    depths: dict[tuple[str, str], int] = {}
    waiting = list(functions)
    opened: set[tuple[str, str]] = set()
    while waiting:
        name = waiting[-1]
        calls = _calls(functions[name])
        inner = [c for c in calls if c in functions and c not in sizes]
        if not inner:
            sizes[name] = _unfolded(calls, sizes)
            depths[name] = 1 + max((depths.get(c, 0) for c in calls), default=0)
            if depths[name] > MAX_FUNCTION_DEPTH:
                raise ModelError(
                    f"function {'.'.join(name)} calls others over more than "
                    f"{MAX_FUNCTION_DEPTH} levels"
                )
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


def _refuse_operators(body: Body, versions: Versions, model: ModelProto) -> None:
    functions = {(f.domain, f.name) for f in model.functions}
    for index, node in enumerate(body.node):
        name = called_names(node)
        if name in functions:
            continue
        if name[0] not in STANDARD_DOMAINS:
            called = f"node '{node.name}'" if node.name else f"node {index}"
            raise ModelError(
                f"{called} is the custom operator {'.'.join(name)}",
                hint="export with standard ONNX operators only",
            )
        _refuse_operator(node, index, versions)


def _refuse_operator(node: NodeProto, index: int, versions: Versions) -> None:
    """Refuse a standard operator that its opset does not have, or has no more."""
    domain, op = called_names(node)
    label, opset = node_label(node, index), f"{domain} opset".strip()
    version = versions.get(domain)
    if version is None:
        raise ModelError(f"{label}: the model does not say which {opset} it is of")
    try:
        schema = onnx.defs.get_schema(op, version, domain)
    except (onnx.defs.SchemaError, TypeError) as error:  # the latter: a version beyond 32 bits
        raise ModelError(
            f"{label}: {opset} {version} has no such operator",
            hint="export with standard ONNX operators only",
        ) from error
    if schema.deprecated:
        raise ModelError(f"{label}: is no longer in {opset} {version}")
    # onnx 1.23 writes past the end of its list where this does not hold, and aborts.
    count = next((a.i for a in node.attribute if a.name == "num_outputs"), None)
    if op == "Split" and count is not None and count != len(node.output):
        raise ModelError(f"{label}: splits into {count} and has {len(node.output)} outputs")


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
    if claimed not in carried:
        raise ModelError(f"tensor '{owner}' claims {claimed} elements and carries {carried[-1]}")


def _carried(tensor: TensorProto) -> range:
    """Return the numbers of elements that the data of a tensor can be.

    Typed fields may hold more than is claimed, as onnx's own checker has it.
    """
    filled = [name for name in TYPED_FIELDS if getattr(tensor, name)]
    if len(filled) + tensor.HasField("raw_data") > 1:
        raise ModelError(f"tensor '{tensor.name}' carries its data in several fields")
    bits = PACKED_BITS.get(tensor.data_type)
    if not tensor.HasField("raw_data"):
        _item_bytes(tensor.data_type)
        field = onnx.helper.tensor_dtype_to_field(tensor.data_type)
        if filled and filled != [field]:
            raise ModelError(f"tensor '{tensor.name}' carries its data as {filled[0]}")
        return range((8 // bits if bits else 1) * len(getattr(tensor, field)) + 1)
    if tensor.data_type == TensorProto.STRING:
        raise ModelError(f"tensor '{tensor.name}' carries text as bytes")
    length_bytes = len(tensor.raw_data)
    if bits:
        most = length_bytes * 8 // bits
        return range(max(0, most - 8 // bits + 1), most + 1)
    carried = -(-length_bytes // _item_bytes(tensor.data_type))
    return range(carried, carried + 1)


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
            _refuse_face(f"{kind} '{value.name}'", value)
    if not [value for value in graph.input if value.name not in carried]:
        raise ModelError("it has no inputs")


def _refuse_face(face: str, value: ValueInfoProto) -> None:
    tensor = value.type.tensor_type
    if not value.type.HasField("tensor_type"):
        raise ModelError(f"{face} is not a tensor")
    if tensor.elem_type == TensorProto.STRING:
        raise ModelError(f"{face} holds strings", hint="use numbers; name classes later")
    if tensor.elem_type not in NUMBERS:
        known = tensor.elem_type in TensorProto.DataType.values()
        name = TensorProto.DataType.Name(tensor.elem_type) if known else str(tensor.elem_type)
        raise ModelError(
            f"{face} is of type {name.lower()}, which no NumPy array of real numbers has",
            hint="cast it inside the model, and let callers pass float32",
        )
    if not tensor.HasField("shape"):
        raise ModelError(
            f"{face} has no shape", hint="export with shapes; dimensions may be symbolic"
        )
    for dimension in tensor.shape.dim:
        if dimension.HasField("dim_value") and dimension.dim_value < 0:
            raise ModelError(
                f"{face} has a dimension of {dimension.dim_value}",
                hint="a free dimension has a name, or nothing; never a negative size",
            )


def _one_line(error: Exception) -> str:
    """Return the first line, and the node where a later one names it."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    named = next((line for line in lines[1:] if "Name: " in line), None)
    return lines[0] if named is None else f"{lines[0]} ({named.strip(' =>')})"
