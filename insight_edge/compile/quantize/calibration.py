# SPDX-License-Identifier: Apache-2.0
"""Calibration rows as a build gets them: arrays of the model's inputs, in one file.

Rows come in the caller's format and go through `pre` first, by the same
executor as on the device. A build reads them a batch at a time. Which rows
calibrate is not decided here (`compile.rows.samples` does).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from numpy.typing import NDArray

from insight_edge.bundle.durable import replace_file
from insight_edge.bundle.npz import npz_from_arrays
from insight_edge.compile.graph.shapes import input_values
from insight_edge.compile.job import BuildJob
from insight_edge.compile.rows.file import RowFile
from insight_edge.compile.sources.source import SourceModel
from insight_edge.documents.codec import digest
from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import BuildFailedError, TensorMismatchError
from insight_edge.transforms.executor import run

MAX_CALIBRATION_BYTES = 4 * 2**30
"""No calibration file is larger."""

MAX_INPUTS = 64

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """A file of calibration rows, at an absolute path."""

    path: Path
    digest: str


def write_calibration(
    source: SourceModel, rows: Mapping[str, NDArray[Any]], directory: Path
) -> Calibration:
    """Write the model inputs made from rows in the caller's format into a directory.

    Raises:
        TensorMismatchError: `pre` does not make an input of the model from the rows.
        StorageError: the disk is full or cannot be written.
    """
    tensors = run(source.described.pre, rows)
    for spec in source.workload.inputs:
        _refuse_misfit(tensors.get(spec.name), spec)
    data = npz_from_arrays({spec.name: tensors[spec.name] for spec in source.workload.inputs})
    path = directory.absolute() / f"calibration-{digest(data)[7:23]}.npz"
    replace_file(path, data)
    return Calibration(path=path, digest=digest(data))


class CalibrationRows:
    """The rows of a job as its model takes them, by input name; may be gone through again.

    One row at a time, or as many as the model's batch is fixed to; rows that do not fill a
    fixed batch are left out.
    """

    def __init__(self, job: BuildJob, *, most: int | None = None) -> None:
        """Look at the file; `most` bounds how many batches are given, the first ones.

        Raises:
            BuildFailedError: the job has no rows, or too few.
            DocumentError: its file is not what `write_calibration` writes.
        """
        if job.calibration is None:
            raise BuildFailedError("INT8 needs rows to calibrate with")
        self._file = RowFile(
            Path(job.calibration), max_bytes=MAX_CALIBRATION_BYTES, max_arrays=MAX_INPUTS
        )
        self._batch = _fixed_batch(job)
        count = min(column.rows for column in self._file.columns.values())
        if count < self._batch:
            raise BuildFailedError(
                f"{count} rows to calibrate with, the model takes {self._batch} at once"
            )
        self._count = min(count // self._batch, most or count)

    def __len__(self) -> int:
        """Return how many batches there are."""
        return self._count

    def __iter__(self) -> Iterator[Arrays]:
        """Yield the batches in order; only one is in memory."""
        names = tuple(self._file.columns)
        blocks = zip(*(self._file.blocks(name, self._batch) for name in names), strict=False)
        for _, columns in zip(range(self._count), blocks, strict=False):
            yield dict(zip(names, columns, strict=True))


class Reader:
    """Calibration rows as ONNX Runtime's quantiser asks for them."""

    def __init__(self, rows: CalibrationRows) -> None:
        self._feeds = iter(rows)

    def get_next(self) -> Arrays | None:
        """Return the next rows by input name, None after the last."""
        return next(self._feeds, None)


def calibration_feeds(job: BuildJob) -> Iterator[Arrays]:
    """Return the rows of a job as its model takes them, by input name.

    Raises:
        BuildFailedError: the job has no rows, or too few.
        DocumentError: its file is not what `write_calibration` writes.
    """
    return iter(CalibrationRows(job))


def _fixed_batch(job: BuildJob) -> int:
    """Return the first dimension of the model's inputs, 1 where it is symbolic."""
    values = input_values(onnx.load(job.model).graph)
    dimensions = [value.type.tensor_type.shape.dim for value in values]
    return max((d[0].dim_value for d in dimensions if d and d[0].dim_value > 0), default=1)


def _refuse_misfit(array: NDArray[Any] | None, spec: TensorSpec) -> None:
    if array is None:
        raise TensorMismatchError(f"the calibration rows give no model input '{spec.name}'")
    sizes = zip(array.shape[1:], spec.shape[1:], strict=False)
    fits = all(isinstance(size, str) or size == found for found, size in sizes)
    if array.ndim != len(spec.shape) or array.dtype != spec.dtype or not fits:
        raise TensorMismatchError(
            f"the calibration rows give {array.dtype} {list(array.shape)} for model input "
            f"'{spec.name}', expected {spec.dtype} {list(spec.shape)}"
        )
