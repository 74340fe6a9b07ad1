# SPDX-License-Identifier: Apache-2.0
"""Keras models and SavedModels, converted to ONNX by tf2onnx and compared with TensorFlow.

Layouts stay as they are; the batch is free. tf2onnx is called on one function
for both kinds, so that names and opset are ours: Keras' own export to ONNX is
the same converter, with names of its own making, and reads no SavedModel.
"""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.bundle.npz import npz_from_arrays
from insight_edge.compile.importers.tensorflow_tables import refuse_tables
from insight_edge.compile.sources.conversion import ANSWERS, INPUTS, MODEL
from insight_edge.compile.sources.importing import OPSET, convert_apart
from insight_edge.compile.sources.source import SourceModel
from insight_edge.compile.toolchains.steady_sets import number_by_first_use
from insight_edge.errors import ModelError

ENVIRONMENT = "toolchain-tensorflow"
PARITY_ROWS = 3
FREE_SIZE = 16
"""Taken in the comparison for a free dimension that is not the batch."""

SAVED_MODEL = "saved_model.pb"
SIGNATURE = "serving_default"

_TERMINAL_CODES = re.compile(r"\x1b\[[0-9;]*m")
_NAMED = re.compile(r"\w*(Error|Exception): ")


@dataclass(frozen=True, kw_only=True)
class _Program:
    """A model as a function of tensors in the order of its inputs.

    Attributes:
        inputs: name, dtype and shape of each, the first dimension being the batch.
        call: takes one tensor an input, returns one an output.
        outputs: names.
    """

    inputs: list[tuple[str, str, list[int | None]]]
    call: Callable[..., Sequence[Any]]
    outputs: list[str]


class TensorflowImporter:
    """Reads `.keras`, `.h5` and directories that hold a SavedModel."""

    def accepts(self, path: Path) -> bool:
        """Return whether the file is Keras' by its suffix, or the directory a SavedModel."""
        if path.suffix.lower() in {".keras", ".h5", ".hdf5"}:
            return True
        return path.is_dir() and (path / SAVED_MODEL).is_file()

    def read(self, path: Path, *, trust_pickle: bool) -> SourceModel:
        """Return the model in ONNX.

        Raises:
            ModelError: code that is not trusted, damaged, an operator that has no counterpart, or
                a conversion that answers otherwise.
            ToolchainMissingError: its environment is not installed.
        """
        if path.is_dir() and not trust_pickle:
            raise ModelError(
                "a SavedModel is a program that may read and write files when it is loaded",
                hint="save it as .keras, or pass --trust-pickle if you made it",
            )
        return convert_apart(
            path,
            converter=f"{__name__}:convert",
            environment=ENVIRONMENT,
            importer="tensorflow",
            framework="TensorFlow",
            trust_pickle=trust_pickle,
        )


def convert(path: Path, directory: Path, *, trust_pickle: bool) -> None:
    """Convert a file or directory; runs in a child process.

    Raises:
        ModelError: it cannot be read or converted.
    """
    os.environ |= {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    import tensorflow as tf

    program = _saved_model(path) if path.is_dir() else _keras(path, trust_pickle=trust_pickle)
    signature = [
        tf.TensorSpec([None, *shape[1:]], dtype, name=f"input_{index}")
        for index, (_, dtype, shape) in enumerate(program.inputs)
    ]
    function = tf.function(program.call, input_signature=signature)
    model = _converted(function, signature)
    _rename(model.graph, program)
    rows = {name: _rows(dtype, shape) for name, dtype, shape in program.inputs}
    answers = [np.asarray(answer) for answer in function(*rows.values())]
    (directory / MODEL).write_bytes(model.SerializeToString(deterministic=True))
    (directory / INPUTS).write_bytes(npz_from_arrays(rows))
    columns = {str(index): answer for index, answer in enumerate(answers)}
    (directory / ANSWERS).write_bytes(npz_from_arrays(columns))


def _keras(path: Path, *, trust_pickle: bool) -> _Program:
    import keras
    import tensorflow as tf

    try:
        model = keras.models.load_model(path, compile=False, safe_mode=not trust_pickle)
        if isinstance(model, keras.Sequential):
            model = keras.Model(model.inputs, model.outputs)
        inputs = [(i.name, str(i.dtype), list(i.shape)) for i in tf.nest.flatten(model.inputs)]
        outputs = list(model.output_names)
    except Exception as error:
        raise ModelError(
            f"Keras cannot read it: {_one_line(error)}",
            hint=_keras_hint(str(error)),
        ) from error

    def call(*tensors: Any) -> list[Any]:
        given = tf.nest.pack_sequence_as(model._inputs_struct, tensors)  # noqa: SLF001 (no public name)
        return list(tf.nest.flatten(model(given, training=False)))

    return _Program(inputs=inputs, call=call, outputs=outputs)


def _keras_hint(error: str) -> str | None:
    if "safe_mode" in error:
        return "Lambda layers carry code; pass --trust-pickle if you made this file"
    if "registered" in error or "custom_objects" in error:
        return "its layers are not Keras' own: model.export('folder'), and pass --trust-pickle"
    if "No model config" in error:
        return "it holds weights alone: save the whole model by model.save('m.keras')"
    return None


def _saved_model(path: Path) -> _Program:
    import tensorflow as tf

    try:
        loaded = tf.saved_model.load(str(path))
    except Exception as error:
        raise ModelError(f"TensorFlow cannot read it: {_one_line(error)}") from error
    known = [SIGNATURE] if SIGNATURE in loaded.signatures else sorted(loaded.signatures)
    if len(known) != 1:
        raise ModelError(
            f"it has no signature '{SIGNATURE}' and not just one other: {known}",
            hint=f"save it with signatures={{'{SIGNATURE}': …}}",
        )
    serve = loaded.signatures[known[0]]
    specs = serve.structured_input_signature[1]
    names, outputs = sorted(specs), sorted(serve.structured_outputs)
    inputs = [(name, specs[name].dtype.name, specs[name].shape.as_list()) for name in names]

    def call(*tensors: Any) -> list[Any]:
        # Keeps the loaded variables alive as long as the function.
        answers = loaded.signatures[known[0]](**dict(zip(names, tensors, strict=True)))
        return [answers[name] for name in outputs]

    return _Program(inputs=inputs, call=call, outputs=outputs)


def _converted(function: Any, signature: Sequence[Any]) -> Any:
    """Return the ONNX of a function.

    Raises:
        ModelError: an operator of it has no counterpart.
    """
    import tf2onnx
    from tf2onnx.handler import tf_op

    traced = _traced(function, signature)
    refuse_tables(traced.as_graph_def())
    number_by_first_use(tf2onnx.graph.Node)
    tf_op("Erfc")(_Erfc)
    try:
        model, _ = tf2onnx.convert.from_function(function, input_signature=signature, opset=OPSET)
    except Exception as error:
        raise ModelError(f"tf2onnx cannot convert it: {_one_line(error)}") from error
    _carry_constants(model.graph, traced.captures)
    return model


def _traced(function: Any, signature: Sequence[Any]) -> Any:
    """Return the graph of a function.

    Raises:
        ModelError: it cannot be traced.
    """
    try:
        return function.get_concrete_function(*signature).graph
    except Exception as error:
        raise ModelError(f"TensorFlow cannot trace it: {_one_line(error)}") from error


def _carry_constants(graph: Any, captures: Sequence[Any]) -> None:
    """Put constants that layers keep as tensors into a graph, which tf2onnx made inputs of it."""
    from onnx.numpy_helper import from_array

    held = {inside.name: outside for outside, inside in captures if inside.dtype != "resource"}
    asked = [value for value in graph.input if value.name not in held]
    for value in graph.input:
        if value.name in held:
            graph.initializer.append(from_array(np.asarray(held[value.name]), value.name))
    del graph.input[:]
    graph.input.extend(asked)


class _Erfc:
    """The GELU of Keras is made of it; tf2onnx 1.17 has no counterpart, ONNX has 1 - Erf."""

    @classmethod
    def version_9(cls, context: Any, node: Any, **_: Any) -> None:
        """Replace a node of the graph under conversion."""
        output, given = node.output[0], node.input[0]
        dtype, shape = context.get_dtype(output), context.get_shape(output)
        context.remove_node(node.name)
        erf = context.make_node("Erf", [given], shapes=[shape], dtypes=[dtype])
        one = context.make_const(f"{node.name}_one", np.ones((), _numpy_type(dtype)))
        inputs = [one.output[0], erf.output[0]]
        context.make_node(
            "Sub", inputs, name=node.name, outputs=[output], shapes=[shape], dtypes=[dtype]
        )


def _numpy_type(dtype: int) -> Any:
    from onnx.helper import tensor_dtype_to_np_dtype

    return tensor_dtype_to_np_dtype(dtype)


def _rename(graph: Any, program: _Program) -> None:
    """Give inputs and outputs the model's own names, and the batch one name."""
    given = [(f"input_{index}", name) for index, (name, *_) in enumerate(program.inputs)]
    made = list(zip([value.name for value in graph.output], program.outputs, strict=True))
    names = dict([*given, *made])
    taken = {name for node in graph.node for name in node.output} - names.keys()
    if len({*names.values()}) < len(names) or taken & {*names.values()}:
        raise ModelError("a tensor inside it has the name of an input or output")
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for value in (*graph.input, *graph.output):
        value.name = names[value.name]
        dimensions = value.type.tensor_type.shape.dim
        if dimensions and not dimensions[0].HasField("dim_value"):
            dimensions[0].dim_param = "batch"


def _rows(dtype: str, shape: Sequence[int | None]) -> NDArray[Any]:
    """Return normal noise, or 0 and 1 where integers may be indices."""
    random = np.random.default_rng(0)
    sizes = [PARITY_ROWS, *(FREE_SIZE if size is None else size for size in shape[1:])]
    if np.dtype(dtype).kind == "f":
        return random.normal(size=sizes).astype(dtype)
    return random.integers(0, 2, sizes).astype(dtype)


def _one_line(error: Exception) -> str:
    """Return what went wrong; TensorFlow says first where, over many lines."""
    text = _TERMINAL_CODES.sub("", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [""]
    named = [at for at, line in enumerate(lines) if _NAMED.match(line)]
    if not lines[0].endswith("in user code:") or not named:
        return f"{type(error).__name__}: {lines[0]}"
    return " ".join(lines[named[-1] : named[-1] + 2])
