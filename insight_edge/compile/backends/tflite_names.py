# SPDX-License-Identifier: Apache-2.0
"""What a `.tflite` file's signature calls a model's inputs and outputs: each converter its own way.

By place, since converters change names that have characters they do not like,
and not always alike; a file that nothing here converted has the model's own.
"""

from collections.abc import Sequence
from pathlib import Path

from insight_edge.compile.job import BuildJob
from insight_edge.runtime.engines.tflite import signature_names

MAGIC = b"TFL3"
"""Of the format, from the fifth byte on."""

ONNX2TF = ("model_input_{}", "model_output_{}")
"""What inputs and outputs are called before they are converted (`tflite_convert`)."""

LITERT_TORCH = ("args_{}", "output_{}")


def came_as_tflite(job: BuildJob) -> bool:
    """Return whether the model of a job was read from a file of the engine's format."""
    if job.original is None:
        return False
    with Path(job.original).open("rb") as opened:
        return opened.read(8)[4:] == MAGIC


def plain_names(inputs: Sequence[str], outputs: Sequence[str]) -> dict[str, str]:
    """Return what the converter of ONNX is told to call a model's inputs and outputs."""
    return _named(ONNX2TF, inputs, outputs)


def converted_names(file: Path, inputs: Sequence[str], outputs: Sequence[str]) -> dict[str, str]:
    """Return what a converted file calls a model's inputs and outputs, whichever converted it."""
    taken, _ = signature_names(file)
    for scheme in (ONNX2TF, LITERT_TORCH):
        names = _named(scheme, inputs, outputs)
        if {names[name] for name in inputs} == taken.keys():
            return names
    return {name: name for name in (*inputs, *outputs)}


def _named(
    scheme: tuple[str, str], inputs: Sequence[str], outputs: Sequence[str]
) -> dict[str, str]:
    taken, given = scheme
    names = {name: given.format(place) for place, name in enumerate(outputs)}
    return names | {name: taken.format(place) for place, name in enumerate(inputs)}
