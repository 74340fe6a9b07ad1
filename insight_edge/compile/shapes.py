# SPDX-License-Identifier: Apache-2.0
"""The dtype and shape of every tensor of a checked graph, as declared and at batch 1."""

import math
from dataclasses import dataclass

import onnx
from onnx import GraphProto, ModelProto, TensorProto, TypeProto, ValueInfoProto
from onnx.inliner import inline_local_functions

from insight_edge.compile.arithmetic import Shape
from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import ModelError

MAX_TENSOR_BYTES = 2**40
"""No tensor of a model that can run anywhere is a tebibyte at batch 1."""


@dataclass(frozen=True, kw_only=True)
class Extent:
    """How large a tensor is; the shape is None where it could not be inferred."""

    shape: Shape | None
    item_bytes: int
    constant: bool = False

    @property
    def length_bytes(self) -> int:
        """Bytes of the tensor, 0 where the shape is not known."""
        return 0 if self.shape is None else math.prod(self.shape) * self.item_bytes


def unfolded(model: ModelProto) -> ModelProto:
    """Return a copy in which every call of a function is replaced by its body."""
    return inline_local_functions(model) if model.functions else _copy(model)


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


def extents_of(model: ModelProto) -> dict[str, Extent]:
    """Return the extent of every tensor, symbolic dimensions taken as 1.

    The model must be one that `unfolded` returned; it is changed.

    Raises:
        ModelError: a tensor is larger than any machine's memory.
    """
    graph = model.graph
    _pin(graph)
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    extents = {
        value.name: _extent(value.type.tensor_type)
        for value in (*inferred.input, *inferred.value_info, *inferred.output)
    }
    extents |= {t.name: _constant(t) for t in graph.initializer}
    extents |= {s.values.name: _constant(s.values) for s in graph.sparse_initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.output[0] in extents:
            extents[node.output[0]] = _fixed(extents[node.output[0]])
    for name, extent in extents.items():
        if extent.length_bytes > MAX_TENSOR_BYTES:
            raise ModelError(f"tensor '{name}' is {extent.length_bytes} bytes at batch 1")
    return extents


def _copy(model: ModelProto) -> ModelProto:
    copy = ModelProto()
    copy.CopyFrom(model)
    return copy


def _pin(graph: GraphProto) -> None:
    """Set symbolic input dimensions to 1 and forget what was inferred for other sizes."""
    for value in graph.input:
        for dimension in value.type.tensor_type.shape.dim:
            if not dimension.HasField("dim_value"):
                dimension.dim_value = 1
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")
    del graph.value_info[:]


def _extent(tensor: TypeProto.Tensor) -> Extent:
    item_bytes = _item_bytes(tensor.elem_type)
    dimensions = tensor.shape.dim
    if not tensor.HasField("shape") or not all(d.HasField("dim_value") for d in dimensions):
        return Extent(shape=None, item_bytes=item_bytes)
    return Extent(shape=tuple(d.dim_value for d in dimensions), item_bytes=item_bytes)


def _constant(tensor: TensorProto) -> Extent:
    return Extent(shape=tuple(tensor.dims), item_bytes=_item_bytes(tensor.data_type), constant=True)


def _fixed(extent: Extent) -> Extent:
    return Extent(shape=extent.shape, item_bytes=extent.item_bytes, constant=True)


def _spec(value: ValueInfoProto) -> TensorSpec:
    tensor = value.type.tensor_type
    return TensorSpec(
        name=value.name,
        dtype=str(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)),
        shape=tuple(_dimension(value.name, i, d) for i, d in enumerate(tensor.shape.dim)),
    )


def _dimension(name: str, index: int, dimension: onnx.TensorShapeProto.Dimension) -> int | str:
    """Return a size or a symbolic name; one without a name gets one."""
    if dimension.HasField("dim_value"):
        return int(dimension.dim_value)
    return str(dimension.dim_param) or ("batch" if index == 0 else f"{name}_{index}")


def _item_bytes(data_type: int) -> int:
    """Return the bytes of one element; 0 for sequences and other things that are no tensor."""
    if data_type in {TensorProto.UNDEFINED, TensorProto.STRING}:
        return 0
    return int(onnx.helper.tensor_dtype_to_np_dtype(data_type).itemsize)
