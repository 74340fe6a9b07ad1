# SPDX-License-Identifier: Apache-2.0
"""Ask a source model, with the steps around it, which classes it predicts."""

import os
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from insight_edge.documents.source import SourceDescription
from insight_edge.documents.steps import Argmax
from insight_edge.errors import ConfigurationError
from insight_edge.transforms.executor import run

ROWS_AT_ONCE = 512


def run_onnx(
    data: bytes, inputs: dict[str, NDArray[np.float32]], *, threads: int
) -> dict[str, NDArray[np.float32]]:
    """Return all outputs of an ONNX model by name."""
    # Before the import, which otherwise opens a session with the vendor of the library.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    fed = {entry.name: inputs[entry.name] for entry in session.get_inputs()}
    return dict(zip(names, session.run(names, fed), strict=True))


def predicted_classes(
    source: bytes,
    description: SourceDescription,
    inputs: Mapping[str, NDArray[np.generic]],
    *,
    threads: int,
) -> NDArray[np.int64]:
    """Return the index of the class that is predicted for each row, int64 (rows,).

    Args:
        source: the ONNX file.
        description: what travels beside it.
        inputs: callers' rows by the name of the input.
        threads: to run it with.

    Raises:
        ConfigurationError: it is no classifier.
    """
    result = _class_result(description)
    found = [np.empty(0, np.int64)]
    for part in _parts(inputs):
        fed = run(description.pre, dict(part))
        answer = run(description.post, fed | run_onnx(source, fed, threads=threads))
        found.append(answer[result].astype(np.int64))
    return np.concatenate(found)


def _class_result(description: SourceDescription) -> str:
    for step in reversed(description.post):
        if isinstance(step, Argmax):
            return step.result
    raise ConfigurationError(f"'{description.model.name}' predicts no class")


def _parts(
    inputs: Mapping[str, NDArray[np.generic]],
) -> Iterator[dict[str, NDArray[np.generic]]]:
    rows = min(map(len, inputs.values()), default=0)
    for start in range(0, rows, ROWS_AT_ONCE):
        yield {name: array[start : start + ROWS_AT_ONCE] for name, array in inputs.items()}
