# SPDX-License-Identifier: Apache-2.0
"""TFLite files, converted to ONNX by tf2onnx and compared with TensorFlow's interpreter.

The ONNX is what other backends compile and what artifacts are compared with; the
file itself goes on to the backend that ships it as it is. It keeps its layout
and its names: those of its signature where it has one. Files that compute in 8
bits are refused: the model they were made from is the truth, and they are not.
"""

import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.bundle.npz import npz_from_arrays
from insight_edge.compile.sources.conversion import ANSWERS, INPUTS, MODEL
from insight_edge.compile.sources.importing import OPSET, convert_apart
from insight_edge.compile.sources.source import Original, SourceModel
from insight_edge.compile.toolchains.steady_sets import number_by_first_use
from insight_edge.errors import ModelError

ENVIRONMENT = "toolchain-tensorflow"
FORM = "tflite"
MAGIC = b"TFL3"
PARITY_ROWS = 3
FREE_SIZE = 16
"""Taken in the comparison for a free dimension that is not the batch."""

STATE = frozenset({"ASSIGN_VARIABLE", "CALL_ONCE", "READ_VARIABLE", "VAR_HANDLE"})
EIGHT_BITS = ("int8", "uint8", "int16")

Details = dict[str, Any]
Arrays = dict[str, NDArray[Any]]


class TfLiteImporter:
    """Reads `.tflite`."""

    def accepts(self, path: Path) -> bool:
        """Return whether the file is TFLite's by its suffix."""
        return path.suffix.lower() == ".tflite"

    def read(self, path: Path, *, trust_pickle: bool) -> SourceModel:  # noqa: ARG002 (it carries no code)
        """Return the model in ONNX, with the file itself.

        Raises:
            ModelError: damaged, a state between calls, arithmetic in 8 bits, an operator that has
                no counterpart, or a conversion that answers otherwise.
            ToolchainMissingError: its environment is not installed.
        """
        data = path.read_bytes()
        if data[4:8] != MAGIC:
            raise ModelError("not a TFLite file: it does not begin as one")
        source = convert_apart(
            path,
            converter=f"{__name__}:convert",
            environment=ENVIRONMENT,
            importer="tflite",
            framework="TensorFlow Lite",
        )
        if path.read_bytes() != data:
            raise ModelError("the file changed while it was read")
        return replace(source, original=Original(form=FORM, data=data))


def convert(path: Path, directory: Path, *, trust_pickle: bool) -> None:  # noqa: ARG001 (as all converters)
    """Convert a file; runs in a child process.

    Raises:
        ModelError: it cannot be read or converted.
    """
    os.environ |= {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    import tensorflow as tf

    interpreter = _opened(tf, path)
    operators = _operators(path)
    _refuse_state(operators)
    _refuse_eight_bits(interpreter, operators)
    rows, answers, free = _asked(interpreter)
    model = _converted(path)
    names = _names(interpreter, inside={name for node in model.graph.node for name in node.output})
    _rename(model.graph, names)
    _settle_batch(model.graph, free=free)
    (directory / MODEL).write_bytes(model.SerializeToString(deterministic=True))
    given = {names.get(name, name): row for name, row in rows.items()}
    (directory / INPUTS).write_bytes(npz_from_arrays(given))
    made = {names.get(name, name): answer for name, answer in answers.items()}
    columns = {str(at): made[value.name] for at, value in enumerate(model.graph.output)}
    (directory / ANSWERS).write_bytes(npz_from_arrays(columns))


def _opened(tf: Any, path: Path) -> Any:
    try:
        interpreter = tf.lite.Interpreter(model_path=str(path), num_threads=1)
        interpreter.allocate_tensors()
    except Exception as error:
        raise ModelError(f"TensorFlow Lite cannot load it: {_one_line(error)}") from error
    return interpreter


def _operators(path: Path) -> set[str]:
    from tf2onnx.tflite_utils import read_tflite_model

    return {*read_tflite_model(str(path))[1].values()}


def _refuse_state(operators: set[str]) -> None:
    kept = sorted(STATE & operators)
    if kept:
        raise ModelError(
            f"it keeps a state between calls ({', '.join(kept)})",
            hint="export it with its state as an input and an output",
        )


def _refuse_eight_bits(interpreter: Any, operators: set[str]) -> None:
    """Refuse what rounds inside: no conversion answers as it does."""
    faces = (*interpreter.get_input_details(), *interpreter.get_output_details())
    scaled = any(
        np.dtype(one["dtype"]).name in EIGHT_BITS and one["quantization"][0] for one in faces
    )
    if scaled or "QUANTIZE" in operators:
        raise ModelError(
            "it computes in 8 bits, and what was lost on the way there cannot be asked of it",
            hint="give the FP32 file that it was made from: INT8 is made and proven here",
        )


def _asked(interpreter: Any) -> tuple[Arrays, Arrays, bool]:
    """Return rows and answers by the file's names, and whether several rows were taken."""
    given = interpreter.get_input_details()
    if all(_is_free(one, 0) for one in given):
        rows = {one["name"]: _rows(one, PARITY_ROWS) for one in given}
        # Some say that their batch is free, and cannot compute another one.
        with suppress(RuntimeError, ValueError):
            return rows, _answers(interpreter, rows), True
    rows = {one["name"]: _rows(one, None) for one in given}
    try:
        return rows, _answers(interpreter, rows), False
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"it does not run: {_one_line(error)}") from error


def _answers(interpreter: Any, rows: Arrays) -> Arrays:
    given = interpreter.get_input_details()
    for one in given:
        interpreter.resize_tensor_input(one["index"], rows[one["name"]].shape)
    interpreter.allocate_tensors()
    for one in given:
        interpreter.set_tensor(one["index"], rows[one["name"]])
    interpreter.invoke()
    made = interpreter.get_output_details()
    return {one["name"]: interpreter.get_tensor(one["index"]).copy() for one in made}


def _is_free(tensor: Details, axis: int) -> bool:
    signature = tensor["shape_signature"]
    return len(signature) > axis and signature[axis] == -1


def _rows(tensor: Details, count: int | None) -> NDArray[Any]:
    """Return normal noise, or 0 and 1 where integers may be indices."""
    random = np.random.default_rng(0)
    shape = [FREE_SIZE if _is_free(tensor, a) else int(s) for a, s in enumerate(tensor["shape"])]
    if shape:
        shape[0] = count or int(tensor["shape"][0])
    if np.dtype(tensor["dtype"]).kind == "f":
        return random.normal(size=shape).astype(tensor["dtype"])
    return random.integers(0, 2, shape).astype(tensor["dtype"])


def _names(interpreter: Any, inside: set[str]) -> dict[str, str]:
    """Return the names of the only signature by the file's, where they tell tensors apart.

    Args:
        interpreter: of the file.
        inside: names of tensors in the converted graph.
    """
    keys = list(interpreter.get_signature_list())
    if len(keys) != 1:
        return {}
    runner = interpreter.get_signature_runner(keys[0])
    sides = (runner.get_input_details(), runner.get_output_details())
    called = [(str(one["name"]), name) for side in sides for name, one in side.items()]
    names = dict(called)
    taken = (inside - names.keys()) & {*names.values()}
    return names if not taken and len(names) == len({*names.values()}) == len(called) else {}


def _converted(path: Path) -> Any:
    import tf2onnx
    from tf2onnx.handler import tfl_op

    number_by_first_use(tf2onnx.graph.Node)
    tfl_op("TFL_GELU")(_Gelu)
    try:
        model, _ = tf2onnx.convert.from_tflite(str(path), opset=OPSET)
    except Exception as error:
        raise ModelError(f"tf2onnx cannot convert it: {_one_line(error)}") from error
    return model


class _Gelu:
    """The operator that converters fuse GELU into; tf2onnx 1.17 does not know it."""

    @classmethod
    def version_9(cls, context: Any, node: Any, **_: Any) -> None:
        """Replace a node of the graph under conversion."""
        output, x = node.output[0], node.input[0]
        dtype, shape = context.get_dtype(output), context.get_shape(output)
        approximate = bool(node.get_attr_value("approximate", default=False))
        context.remove_node(node.name)

        def made(op: str, *inputs: str) -> str:
            return str(context.make_node(op, [*inputs], shapes=[shape], dtypes=[dtype]).output[0])

        def scalar(value: float) -> str:
            name = f"{node.name}_{len(context.get_nodes())}"
            return str(context.make_const(name, np.array(value, np.float32)).output[0])

        if approximate:
            cubed = made("Mul", made("Mul", made("Mul", x, x), x), scalar(0.044715))
            inner = made("Tanh", made("Mul", made("Add", x, cubed), scalar(np.sqrt(2 / np.pi))))
        else:
            inner = made("Erf", made("Mul", x, scalar(np.sqrt(0.5))))
        half = made("Mul", x, scalar(0.5))
        one = made("Add", inner, scalar(1.0))
        context.make_node(
            "Mul", [half, one], name=node.name, outputs=[output], shapes=[shape], dtypes=[dtype]
        )


def _rename(graph: Any, names: dict[str, str]) -> None:
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for value in (*graph.input, *graph.output):
        value.name = names.get(value.name, value.name)


def _settle_batch(graph: Any, *, free: bool) -> None:
    """Give the batch one name, or its size where no other was seen to work."""
    for value in (*graph.input, *graph.output):
        dimensions = value.type.tensor_type.shape.dim
        if dimensions and not dimensions[0].HasField("dim_value"):
            if free:
                dimensions[0].dim_param = "batch"
            else:
                dimensions[0].dim_value = 1


def _one_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"
