# SPDX-License-Identifier: Apache-2.0
"""Copies of those outputs of a `.tflite` file that an operator reads too, or that are inputs.

ai-edge-quantizer 0.10 leads who reads an output inside to its float, whatever they
are quantised for: such files do not load, or answer wrongly. A copy is read by
nobody. It is made in floats, and not quantised here (`tflite_quantize`).
"""

from pathlib import Path
from typing import Any

COPY = "_apart"
"""What the names of copies end in."""


def parted(file: Path) -> bytes:
    """Return a file whose float outputs are neither inputs nor read inside.

    Args:
        file: with one signature, whose names stay.
    """
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model(file)
    signature = model.signatureDefs[0]
    graph = model.subgraphs[signature.subgraphIndex]
    read = {index for operator in graph.operators for index in operator.inputs}
    shared = {
        index
        for index in {*graph.outputs} & {*graph.inputs, *read}
        if graph.tensors[index].type == schema.TensorType.FLOAT32
    }
    if not shared:
        return file.read_bytes()
    model.operatorCodes.append(_reshape())
    copies = {index: _copied(model, graph, index) for index in sorted(shared)}
    graph.outputs = [copies.get(index, index) for index in graph.outputs]
    for each in signature.outputs:
        each.tensorIndex = copies.get(each.tensorIndex, each.tensorIndex)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _copied(model: Any, graph: Any, index: int) -> int:
    """Append a call of the last operator that copies any number of rows; return the copy."""
    from ai_edge_litert import schema_py_generated as schema

    tensor = graph.tensors[index]
    sizes = [int(size) for size in tensor.shape]
    copy = schema.TensorT()
    copy.name, copy.type, copy.shape = tensor.name + COPY.encode(), tensor.type, sizes
    copy.shapeSignature, copy.buffer = tensor.shapeSignature, 0
    graph.tensors.append(copy)
    options = schema.ReshapeOptionsT()
    options.newShape = [-1, *sizes[1:]] if sizes else []
    operator = schema.OperatorT()
    operator.opcodeIndex = len(model.operatorCodes) - 1
    operator.inputs, operator.outputs = [index], [len(graph.tensors) - 1]
    operator.builtinOptionsType = schema.BuiltinOptions.ReshapeOptions
    operator.builtinOptions = options
    graph.operators.append(operator)
    return len(graph.tensors) - 1


def _reshape() -> Any:
    from ai_edge_litert import schema_py_generated as schema

    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.RESHAPE
    code.version = 1
    return code
