# SPDX-License-Identifier: Apache-2.0
"""The rows a compilation calibrates with and is proven on, never the same ones.

A samples file is an .npz of arrays by input name, as callers of `infer` pass
them, with two optional arrays: `labels` (class indices) and `verification`
(which rows to prove on). This module neither quantises nor compares.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from insight_edge.bundle.npz import arrays_from_npz
from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import (
    ConfigurationError,
    DocumentError,
    LimitExceededError,
    TensorMismatchError,
)

MAX_SAMPLES_BYTES = 8 * 2**30
"""No samples file is read that unpacks to more; calibration needs hundreds of rows."""

MAX_ARRAYS = 66
"""No model is read that has more inputs."""

MAX_CALIBRATION_ROWS = 128
"""Rows taken for calibration where the file does not say which; at most a quarter of them."""

Array = NDArray[np.generic]
Arrays = dict[str, Array]


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Rows in the caller's format.

    Attributes:
        inputs: (n, ...) by input name.
        labels: (n,) class indices, or None.
        verification: (n,) which rows are proven on; the others calibrate.
    """

    inputs: Arrays
    labels: NDArray[np.int64] | None
    verification: NDArray[np.bool_]

    def calibration(self) -> Arrays:
        """Return the rows that quantisation may look at."""
        return {name: rows[~self.verification] for name, rows in self.inputs.items()}

    def proof(self) -> tuple[Arrays, NDArray[np.int64] | None]:
        """Return the rows, and labels if any, that artifacts are proven on."""
        labels = None if self.labels is None else self.labels[self.verification]
        return {name: rows[self.verification] for name, rows in self.inputs.items()}, labels


def read_samples(path: Path, specs: Sequence[TensorSpec]) -> Samples:
    """Return the samples in an .npz file, checked against the inputs they are for.

    Raises:
        ConfigurationError: no such file, not an .npz, labels that are no class indices, or an
            array that belongs to nothing.
        LimitExceededError: it unpacks to more than is ever read.
        TensorMismatchError: an input is missing, or has the wrong rank, dimension or dtype.
    """
    arrays = _load(path)
    labels = arrays.pop("labels", None)
    verification = arrays.pop("verification", None)
    count = _check_inputs(path, arrays, specs)
    return Samples(
        inputs={spec.name: arrays[spec.name] for spec in specs},
        labels=None if labels is None else _check_labels(path, labels, count),
        verification=_split(count) if verification is None else _check(path, verification, count),
    )


def _load(path: Path) -> Arrays:
    try:
        data = path.read_bytes()
        arrays = arrays_from_npz(data, max_bytes=MAX_SAMPLES_BYTES, max_arrays=MAX_ARRAYS)
    except OSError as error:
        raise ConfigurationError(f"{path}: {(error.strerror or str(error)).lower()}") from error
    except LimitExceededError as error:
        raise LimitExceededError(f"{path}: {error}") from error
    except DocumentError as error:
        raise ConfigurationError(
            f"{path}: {error}", hint="write it with numpy.savez(path, x=rows)"
        ) from error
    return dict(arrays)


def _check_inputs(path: Path, arrays: Mapping[str, Array], specs: Sequence[TensorSpec]) -> int:
    names = [spec.name for spec in specs]
    extra = sorted(set(arrays) - set(names))
    if extra:
        raise ConfigurationError(
            f"{path}: array '{extra[0]}' belongs to no input",
            hint=f"inputs: {', '.join(names)}; besides them only 'labels' and 'verification'",
        )
    for spec in specs:
        _check_input(path, arrays.get(spec.name), spec)
    counts = {len(arrays[name]) for name in names}
    if len(counts) != 1:
        raise TensorMismatchError(f"{path}: inputs have different numbers of rows: {counts}")
    return counts.pop()


def _check_input(path: Path, rows: Array | None, spec: TensorSpec) -> None:
    if rows is None:
        raise TensorMismatchError(f"{path}: input '{spec.name}' is missing")
    fixed = [isinstance(size, str) or size == found for size, found in
             zip(spec.shape[1:], rows.shape[1:], strict=False)]  # fmt: skip
    if rows.ndim != len(spec.shape) or not all(fixed) or rows.dtype != spec.dtype:
        wanted = "x".join(["n", *map(str, spec.shape[1:])])
        found = "x".join(map(str, rows.shape))
        raise TensorMismatchError(
            f"{path}: input '{spec.name}' is {found} {rows.dtype}, expected {wanted} {spec.dtype}"
        )


def _check_labels(path: Path, labels: Array, count: int) -> NDArray[np.int64]:
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise ConfigurationError(
            f"{path}: 'labels' is {labels.shape} {labels.dtype}, expected ({count},) of integers"
        )
    return labels.astype(np.int64)


def _check(path: Path, verification: Array, count: int) -> NDArray[np.bool_]:
    if verification.shape != (count,) or verification.dtype != np.bool_:
        raise ConfigurationError(f"{path}: 'verification' must be ({count},) of booleans")
    return verification.astype(np.bool_)


def _split(count: int) -> NDArray[np.bool_]:
    """Return every row for verification but evenly spaced ones, which calibrate."""
    verification = np.ones(count, np.bool_)
    calibrating = min(MAX_CALIBRATION_ROWS, count // 4)
    if calibrating:
        verification[np.linspace(0, count - 1, calibrating).astype(np.int64)] = False
    return verification
