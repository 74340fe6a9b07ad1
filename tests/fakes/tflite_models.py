# SPDX-License-Identifier: Apache-2.0
"""A `.tflite` file made by hand, operator by operator, as `tests.fakes.engine.answers` computes."""

import importlib.util
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

SCHEMA_VARIABLE = "TFLITE_SCHEMA"
"""Names the module where LiteRT is not to be imported, as it would be taken for the engine."""


def tflite_artifact(weights: Array) -> dict[str, bytes]:
    """Return the file of a matrix for one row; every operator in it may be resized."""
    import flatbuffers

    schema = _schema()
    columns, classes = weights.shape
    kinds = schema.TensorType
    tensors = [
        ("x", (1, columns), kinds.FLOAT32, None),
        ("shift", (1, 1), kinds.FLOAT32, None),
        ("weights", (classes, columns), kinds.FLOAT32, weights.T),
        ("product", (1, classes), kinds.FLOAT32, None),
        ("linear", (1, classes), kinds.FLOAT32, None),
        ("y", (1, classes), kinds.FLOAT32, None),
        ("axis", (), kinds.INT32, np.array(1, np.int32)),
        ("flat", (1,), kinds.INT64, None),
        ("top", (1, 1), kinds.INT64, None),
    ]
    ops, options = schema.BuiltinOperator, schema.BuiltinOptions
    argmax = schema.ArgMaxOptionsT()
    argmax.outputType = kinds.INT64
    nodes = [
        (ops.FULLY_CONNECTED, (0, 2, -1), 3, options.FullyConnectedOptions,
         schema.FullyConnectedOptionsT()),
        (ops.ADD, (3, 1), 4, options.AddOptions, schema.AddOptionsT()),
        (ops.RELU, (4,), 5, options.NONE, None),
        (ops.ARG_MAX, (4, 6), 7, options.ArgMaxOptions, argmax),
        (ops.EXPAND_DIMS, (7, 6), 8, options.ExpandDimsOptions, schema.ExpandDimsOptionsT()),
    ]  # fmt: skip
    model = schema.ModelT()
    model.version = 3
    model.buffers = [schema.BufferT()]
    graph = schema.SubGraphT()
    graph.tensors = [_tensor(schema, model.buffers, *each) for each in tensors]
    graph.inputs, graph.outputs = [0, 1], [5, 8]
    graph.operators = [_operator(schema, place, *node) for place, node in enumerate(nodes)]
    model.operatorCodes = [_code(schema, node[0]) for node in nodes]
    model.subgraphs = [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return {"model.tflite": bytes(builder.Output())}


def _schema() -> Any:
    """Return the classes of what is in a file, as LiteRT brings them."""
    file = os.environ.get(SCHEMA_VARIABLE)
    if file is None:
        from ai_edge_litert import schema_py_generated

        return schema_py_generated
    spec = importlib.util.spec_from_file_location("schema_py_generated", file)
    assert spec is not None
    assert spec.loader is not None
    schema = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(schema)
    return schema


def _tensor(
    schema: Any,
    buffers: list[Any],
    name: str,
    shape: tuple[int, ...],
    kind: int,
    data: Array | None,
) -> Any:
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type = name.encode(), list(shape), kind
    if data is not None:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
        buffers.append(buffer)
        tensor.buffer = len(buffers) - 1
    return tensor


def _operator(
    schema: Any, code: int, _: int, inputs: tuple[int, ...], output: int, kind: int, options: Any
) -> Any:
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = code, list(inputs), [output]
    operator.builtinOptionsType, operator.builtinOptions = kind, options
    return operator


def _code(schema: Any, builtin: int) -> Any:
    code = schema.OperatorCodeT()
    code.builtinCode = builtin
    code.deprecatedBuiltinCode = min(builtin, 127)
    code.version = 2 if builtin == schema.BuiltinOperator.ARG_MAX else 1
    return code
