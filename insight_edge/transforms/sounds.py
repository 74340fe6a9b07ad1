# SPDX-License-Identifier: Apache-2.0
"""What the step on sound computes and makes of a spec (rule T28 in docs/formats/transforms.md).

Importing this teaches `arithmetic.apply` and `shapes.result_spec` the step.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.documents.sound_steps import Sound
from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import ConfigurationError, DocumentError
from insight_edge.transforms.arithmetic import apply
from insight_edge.transforms.files import takes_files
from insight_edge.transforms.shapes import result_spec
from insight_edge.transforms.wav import samples_from_file

MAX_SAMPLES = 2**26
"""Of a row: 23 minutes at 48 kHz."""


@result_spec.register
def _spec(step: Sound, spec: TensorSpec) -> TensorSpec:
    if not takes_files(spec):
        raise ConfigurationError(
            f"'{spec.name}' is {spec.dtype} {list(spec.shape)}, not the bytes of files",
            hint='declare the input with dtype = "uint8" and shape = ["batch", "bytes"]',
        )
    if not 1 <= step.samples <= MAX_SAMPLES or step.rate < 1:
        raise ConfigurationError(f"{step.samples} samples, {step.rate} a second")
    return TensorSpec(name=step.result, dtype="float32", shape=(spec.shape[0], step.samples))


@apply.register
def _sound(step: Sound, files: NDArray[Any]) -> NDArray[Any]:
    rows = np.zeros((len(files), step.samples), np.float32)
    for number, (row, file) in enumerate(zip(rows, files, strict=True)):
        try:
            found = samples_from_file(file.tobytes(), rate=step.rate, most=step.samples)
        except DocumentError as error:
            raise DocumentError(f"row {number}: '{step.source}': {error}") from error
        row[: len(found)] = found
    return rows
