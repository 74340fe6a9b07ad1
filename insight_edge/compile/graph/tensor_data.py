# SPDX-License-Identifier: Apache-2.0
"""The data that tensors of an ONNX model carry: no other amount than they claim."""

import math
from collections.abc import Iterator

import onnx
from onnx import GraphProto, ModelProto, TensorProto

from insight_edge.compile.graph.parts import Body, bodies
from insight_edge.errors import ModelError

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


def tensors_of(model: ModelProto) -> Iterator[tuple[str, TensorProto]]:
    """Yield every tensor that a model carries, wherever, and what to call it."""
    for body, _ in bodies(model):
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


def refuse_tensor(owner: str, tensor: TensorProto) -> None:
    """Raise unless a tensor is in this file, whole.

    Args:
        owner: what to call it.
        tensor: carried by the model.

    Raises:
        ModelError: it is not.
    """
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
