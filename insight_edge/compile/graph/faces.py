# SPDX-License-Identifier: Apache-2.0
"""The inputs and outputs of an ONNX model, which callers pass and receive as NumPy arrays."""

from onnx import GraphProto, TensorProto, ValueInfoProto

from insight_edge.errors import ModelError

NUMBERS = frozenset({
    TensorProto.BOOL, TensorProto.FLOAT16, TensorProto.FLOAT, TensorProto.DOUBLE,
    TensorProto.INT8, TensorProto.INT16, TensorProto.INT32, TensorProto.INT64,
    TensorProto.UINT8, TensorProto.UINT16, TensorProto.UINT32, TensorProto.UINT64,
})  # fmt: skip
"""Types that callers can pass and receive."""


def refuse_faces(graph: GraphProto) -> None:
    """Refuse inputs and outputs that no NumPy array of numbers can be.

    Raises:
        ModelError: the first of them, or that there are no inputs.
    """
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
