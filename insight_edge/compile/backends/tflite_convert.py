# SPDX-License-Identifier: Apache-2.0
"""ONNX to a `.tflite` file in FP32, for one row at a time where the batch is free.

With a free batch the converter computes every shape at run time, which cuts the
graph into pieces that XNNPACK does not take: 2.3 times the time of one row was
measured. A file for one row can be resized where its operators let it be;
whether they do is asked of the file (`tflite_faces`), never assumed.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from insight_edge.compile.backends.tflite_names import plain_names
from insight_edge.errors import BuildFailedError

if TYPE_CHECKING:
    import onnx

STEM = "model"


def convert(model: Path, scratch: Path) -> Path:
    """Return the FP32 file of a model, in a directory that is thrown away later.

    Raises:
        BuildFailedError: the converter refused the model or left no file.
    """
    import onnx2tf

    names = _write_simplified(model, scratch / f"{STEM}.onnx")
    try:
        onnx2tf.convert(
            input_onnx_file_path=str(scratch / f"{STEM}.onnx"),
            output_folder_path=str(scratch),
            not_use_onnxsim=True,
            # It would move channels last at some inputs and not at others.
            keep_shape_absolutely_input_names=names,
            copy_onnx_input_output_names_to_tflite=True,
            non_verbose=True,
        )
    except (Exception, SystemExit) as error:
        raise BuildFailedError(f"onnx2tf does not convert it: {_one_line(error)}") from error
    found = scratch / f"{STEM}_float32.tflite"
    if not found.is_file():
        raise BuildFailedError("onnx2tf ended well and left no file")
    return found


def _write_simplified(model: Path, place: Path) -> list[str]:
    """Write the model with its shapes folded and its batch fixed; return its inputs' names."""
    import onnx
    import onnxsim

    from insight_edge.compile.backends.plain_graph import inlined
    from insight_edge.compile.backends.tflite_graph import lowerable
    from insight_edge.compile.backends.tflite_operators import is_said_in_others
    from insight_edge.compile.graph.shapes import input_values

    simplified, agrees = onnxsim.simplify(inlined(onnx.load(model), is_said_in_others))
    if not agrees:
        raise BuildFailedError("onnxsim changed what the model answers")
    # It says in one operator again what was said in several.
    simplified = inlined(simplified, is_said_in_others)
    values = input_values(simplified.graph)
    _rename(simplified.graph, values)
    for value in (*values, *simplified.graph.output):
        dimensions = value.type.tensor_type.shape.dim
        if dimensions and not dimensions[0].dim_value:
            dimensions[0].dim_value = 1
    lowerable(simplified)
    onnx.save(simplified, place)
    return [value.name for value in values]


def _rename(graph: "onnx.GraphProto", inputs: "list[onnx.ValueInfoProto]") -> None:
    """Give inputs and outputs their plain names; there are no graphs inside operators here."""
    plain = plain_names([one.name for one in inputs], [one.name for one in graph.output])
    for value in (*inputs, *graph.output):
        value.name = plain[value.name]
    for tensor in graph.initializer:
        tensor.name = plain.get(tensor.name, tensor.name)
    for node in graph.node:
        node.input[:] = [plain.get(name, name) for name in node.input]
        node.output[:] = [plain.get(name, name) for name in node.output]


def _one_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0]
