# SPDX-License-Identifier: Apache-2.0
"""The dtype and shape of every tensor of a checked graph, as declared and at batch 1."""

import math
from dataclasses import dataclass, replace

import onnx
from onnx import (
    GraphProto,
    ModelProto,
    TensorProto,
    TensorShapeProto,
    TypeProto,
    ValueInfoProto,
)
from onnx.inliner import inline_local_functions

from insight_edge.compile.graph.arithmetic import Shape
from insight_edge.compile.graph.light import light_copy
from insight_edge.compile.graph.parts import subgraphs
from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import ModelError

MAX_TENSOR_BYTES = 2**40
"""No tensor of a model that can run anywhere is a tebibyte at batch 1."""


@dataclass(frozen=True, kw_only=True)
class Extent:
    """How large a tensor is, and of what.

    Attributes:
        shape: None where it could not be inferred.
        rank: the same, which may be known where a size is not.
        dtype: empty for what is no tensor of numbers.
    """

    shape: Shape | None
    item_bytes: int
    constant: bool = False
    rank: int | None = None
    dtype: str = ""

    @property
    def length_bytes(self) -> int:
        """Bytes of the tensor, 0 where the shape is not known."""
        return 0 if self.shape is None else math.prod(self.shape) * self.item_bytes


def unfolded(model: ModelProto) -> ModelProto:
    """Return a light copy in which every call of a function is replaced by its body.

    Raises:
        ModelError: a function is called otherwise than it is written.
    """
    light = light_copy(model)
    try:
        return inline_local_functions(light) if model.functions else light
    except RuntimeError as error:
        raise ModelError(f"not valid ONNX: a function cannot be called so: {error}") from error


def input_values(graph: GraphProto) -> list[ValueInfoProto]:
    """Return the inputs that callers pass; old models list their weights as inputs too."""
    carried = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in carried]


def specs_of(model: ModelProto) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Return the specs of the inputs and of the outputs, symbolic dimensions by name."""
    graph = model.graph
    return (
        tuple(_spec(value) for value in input_values(graph)),
        tuple(_spec(value) for value in graph.output),
    )


def inferred(model: ModelProto) -> GraphProto:
    """Return the graph with the shape of every tensor, symbolic dimensions taken as 1.

    Args:
        model: one that `unfolded` returned; it is changed.

    Raises:
        ModelError: no shapes can be had.
    """
    declared = _pin(model.graph)
    try:
        graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelError(f"its shapes cannot be inferred: {lines[0]}") from error
    for value, shape in zip(graph.output, declared, strict=True):
        if not value.type.tensor_type.HasField("shape"):  # of a loop, say: as it was declared
            value.type.tensor_type.shape.CopyFrom(shape)
    return graph


def extents_of(graph: GraphProto) -> dict[str, Extent]:
    """Return the extent of every tensor of one graph, without those of its subgraphs.

    Args:
        graph: one that `inferred` returned, or a subgraph of it.

    Raises:
        ModelError: a tensor is larger than any machine's memory.
    """
    extents = {
        value.name: _extent(value.type.tensor_type)
        for value in (*graph.input, *graph.value_info, *graph.output)
    }
    extents |= weights_of(graph)
    for node in graph.node:
        if node.op_type == "Constant" and node.output[0] in extents:
            extents[node.output[0]] = _fixed(extents[node.output[0]])
    for name, extent in extents.items():
        if extent.length_bytes > MAX_TENSOR_BYTES:
            raise ModelError(f"tensor '{name}' is {extent.length_bytes} bytes at batch 1")
    return extents


def weights_of(graph: GraphProto) -> dict[str, Extent]:
    """Return the extent of every weight that a graph carries."""
    carried = (*graph.initializer, *(sparse.values for sparse in graph.sparse_initializer))
    return {tensor.name: _constant(tensor) for tensor in carried}


def _pin(graph: GraphProto) -> list[TensorShapeProto]:
    """Set symbolic dimensions to 1 and forget what was inferred for other sizes.

    Returns:
        the shapes of the outputs, which are among what is forgotten.
    """
    for value in (*graph.input, *graph.output):
        for dimension in value.type.tensor_type.shape.dim:
            if not dimension.HasField("dim_value"):
                dimension.dim_value = 1
    shapes = []
    for value in graph.output:
        shapes.append(TensorShapeProto())
        shapes[-1].CopyFrom(value.type.tensor_type.shape)
    _forget(graph)
    return shapes


def _forget(graph: GraphProto) -> None:
    """Clear what was inferred, in the graph and in those inside it."""
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")
    del graph.value_info[:]
    for node in graph.node:
        for inner in subgraphs(node):
            _forget(inner)


def _extent(tensor: TypeProto.Tensor) -> Extent:
    dimensions = tensor.shape.dim
    # A free dimension other than the batch may leave nothing of an image when it is taken as 1.
    known = tensor.HasField("shape") and all(d.dim_value > 0 or _is_empty(d) for d in dimensions)
    return Extent(
        shape=tuple(d.dim_value for d in dimensions) if known else None,
        item_bytes=_item_bytes(tensor.elem_type),
        rank=len(dimensions) if tensor.HasField("shape") else None,
        dtype=_dtype(tensor.elem_type),
    )


def _is_empty(dimension: TensorShapeProto.Dimension) -> bool:
    return bool(dimension.HasField("dim_value")) and dimension.dim_value == 0


def _constant(tensor: TensorProto) -> Extent:
    return Extent(
        shape=tuple(tensor.dims),
        item_bytes=_item_bytes(tensor.data_type),
        constant=True,
        rank=len(tensor.dims),
        dtype=_dtype(tensor.data_type),
    )


def _fixed(extent: Extent) -> Extent:
    return replace(extent, constant=True)


def _spec(value: ValueInfoProto) -> TensorSpec:
    tensor = value.type.tensor_type
    return TensorSpec(
        name=value.name,
        dtype=str(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)),
        shape=tuple(_dimension(value.name, i, d) for i, d in enumerate(tensor.shape.dim)),
    )


def _dimension(name: str, index: int, dimension: TensorShapeProto.Dimension) -> int | str:
    """Return a size or a symbolic name; one without a name gets one."""
    if dimension.HasField("dim_value"):
        return int(dimension.dim_value)
    return str(dimension.dim_param) or ("batch" if index == 0 else f"{name}_{index}")


def _item_bytes(data_type: int) -> int:
    """Return the bytes of one element; 0 for sequences and other things that are no tensor."""
    if data_type in {TensorProto.UNDEFINED, TensorProto.STRING}:
        return 0
    if data_type not in TensorProto.DataType.values():
        raise ModelError(f"tensor type {data_type} is not known")
    return int(onnx.helper.tensor_dtype_to_np_dtype(data_type).itemsize)


def _dtype(data_type: int) -> str:
    """Return NumPy's name of a type that `_item_bytes` knows."""
    if data_type in {TensorProto.UNDEFINED, TensorProto.STRING}:
        return ""
    return str(onnx.helper.tensor_dtype_to_np_dtype(data_type))
