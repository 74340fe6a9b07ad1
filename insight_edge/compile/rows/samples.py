# SPDX-License-Identifier: Apache-2.0
"""The rows a compilation calibrates with and is proven on, never the same ones.

A samples file is an .npz of arrays by input name, as callers of `infer` pass
them, with two optional arrays: `labels` (class indices, of rows or of all their
elements, or numbers) and `verification` (which rows to prove on). It may be
larger than memory: only the rows that are used are kept. This module neither
quantises nor compares.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from insight_edge.compile.rows.file import Column, RowFile
from insight_edge.compile.rows.metric import Labels
from insight_edge.compile.rows.representative import Figures, representative, row_figures
from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import (
    ConfigurationError,
    DocumentError,
    LimitExceededError,
    TensorMismatchError,
)

MAX_SAMPLES_BYTES = 64 * 2**30
"""No samples file is read that unpacks to more: it takes a minute to pass over."""

MAX_ARRAYS = 66
"""No model is read that has more inputs."""

KEPT_BYTES = 2**30
"""Of the rows in memory: a quarter to calibrate with, the rest to prove on. These are 1,300 colour
images of 224 pixels, and 300 rows prove a budget of 1 pp."""

MAX_CALIBRATION_ROWS = 128
"""Rows that calibrate, of at most a quarter of a file that does not say which may. INT8 of a net
for digits keeps 25.0 dB of its answers with scales from 4 rows, 26.8 from 16, 27.3 from 64, and
changes by 0.1 dB up to 1,024; other data vary more, so it is twice as many."""

RESERVED = frozenset({"labels", "verification"})
"""Arrays that are about rows, unless an input of the model is called so."""

POOL = 4
"""Rows that may calibrate for each that does, so that there is something to choose among."""

Array = NDArray[np.generic]
Arrays = dict[str, Array]
Indices = NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Rows in the caller's format.

    Attributes:
        inputs: (n, ...) by input name.
        labels: (n, ...) i8 or f8, or None.
        verification: (n,) which rows are proven on; the others calibrate.
        numbers: (n,) of the rows in their file; None where they are all of it.
    """

    inputs: Arrays
    labels: Labels | None
    verification: NDArray[np.bool_]
    numbers: Indices | None = None

    def calibration(self) -> Arrays:
        """Return the rows that quantisation may look at."""
        return {name: rows[~self.verification] for name, rows in self.inputs.items()}

    def proof(self) -> tuple[Arrays, Labels | None]:
        """Return the rows, and labels if any, that artifacts are proven on."""
        labels = None if self.labels is None else self.labels[self.verification]
        return {name: rows[self.verification] for name, rows in self.inputs.items()}, labels

    def non_finite(self) -> str | None:
        """Return which row no scale can be made of, where one is NaN or infinite."""
        for name, rows in self.inputs.items():
            if rows.dtype.kind != "f":
                continue
            finite = np.isfinite(rows).reshape(len(rows), -1).all(axis=1)
            if not finite.all():
                first = int(finite.argmin())
                number = first if self.numbers is None else int(self.numbers[first])
                return (
                    f"row {number} of '{name}' has NaN or infinity, which INT8 cannot be made from"
                )
        return None

    def refuse_non_finite(self) -> None:
        """Refuse rows of which no scale can be made.

        Raises:
            ConfigurationError: a number among them is NaN or infinite.
        """
        odd = self.non_finite()
        if odd is not None:
            hint = "leave such rows out, or name the targets to try with --target"
            raise ConfigurationError(odd, hint=hint)


def read_samples(
    path: Path, specs: Sequence[TensorSpec], *, kept_bytes: int = KEPT_BYTES
) -> Samples:
    """Return the samples in an .npz file, checked against the inputs they are for.

    Rows to prove on are told from rows to calibrate with by their place in the file, never by
    what is in them, or what is proven would not hold for others. Of those that may calibrate,
    representative ones do.

    Args:
        path: of the file.
        specs: of the inputs.
        kept_bytes: of the rows returned; those to prove on beyond it are evenly left out.

    Raises:
        ConfigurationError: no such file, not an .npz, labels that are no numbers, or an array
            that belongs to nothing.
        LimitExceededError: it unpacks to more than is ever read.
        TensorMismatchError: an input is missing, or has the wrong rank, dimension or dtype.
    """
    with _mistakes(path):
        file = RowFile(path, max_bytes=MAX_SAMPLES_BYTES, max_arrays=MAX_ARRAYS)
        count = _check_inputs(path, file.columns, specs)
        _check_labels(path, _column(file.columns, "labels", specs), count)
        proving, pool = _split(_verification(path, file, specs, count), count)
        row_bytes = max(1, sum(c.row_bytes for n, c in file.columns.items() if n != "verification"))
        chosen = _representative(file, specs, pool, kept_bytes // 4 // row_bytes)
        proving = _evenly(proving, max(1, kept_bytes * 3 // 4 // row_bytes))
        kept = np.sort(np.concatenate([proving, chosen]))
        return Samples(
            inputs={spec.name: file.take(spec.name, kept) for spec in specs},
            labels=_labels(path, file, specs, kept),
            verification=np.isin(kept, proving),
            numbers=kept,
        )


@contextmanager
def _mistakes(path: Path) -> Iterator[None]:
    """Say of every mistake in which file it is."""
    try:
        yield
    except OSError as error:
        raise ConfigurationError(f"{path}: {(error.strerror or str(error)).lower()}") from error
    except LimitExceededError as error:
        raise LimitExceededError(f"{path}: {error}") from error
    except DocumentError as error:
        raise ConfigurationError(
            f"{path}: {error}", hint="write it with numpy.savez(path, x=rows)"
        ) from error


def _representative(
    file: RowFile, specs: Sequence[TensorSpec], pool: Indices, most: int
) -> Indices:
    """Return the rows of the pool that calibrate, of every class where rows have classes."""
    wanted = max(1, min(MAX_CALIBRATION_ROWS, most))
    if len(pool) <= wanted:
        return pool
    figures = np.concatenate([_figures(file, spec.name, pool) for spec in specs], axis=1)
    labels = _column(file.columns, "labels", specs)
    classes = None
    if labels is not None and len(labels.shape) == 1 and labels.dtype.kind != "f":
        classes = file.take("labels", pool).astype(np.int64)
    return pool[representative(figures, classes, wanted)]


def _figures(file: RowFile, name: str, rows: Indices) -> Figures:
    """Return what is to be known of some rows of an array, in one pass over it."""
    start, found = 0, []
    for block in file.blocks(name):
        first, last = np.searchsorted(rows, (start, start + len(block)))
        found.append(row_figures(block[rows[first:last] - start]))
        start += len(block)
    return np.concatenate(found)


def _check_inputs(path: Path, columns: Mapping[str, Column], specs: Sequence[TensorSpec]) -> int:
    """Return how many rows there are."""
    names = [spec.name for spec in specs]
    extra = sorted(set(columns) - {*names, *RESERVED})
    if extra:
        raise ConfigurationError(
            f"{path}: array '{extra[0]}' belongs to no input",
            hint=f"inputs: {', '.join(names)}; besides them only 'labels' and 'verification'",
        )
    for spec in specs:
        _check_input(path, columns.get(spec.name), spec)
    counts = {columns[name].rows for name in names}
    if len(counts) != 1:
        raise TensorMismatchError(f"{path}: inputs have different numbers of rows: {counts}")
    if counts == {0}:
        raise ConfigurationError(f"{path}: has no rows", hint="300 rows prove a budget of 1 pp")
    return counts.pop()


def _check_input(path: Path, rows: Column | None, spec: TensorSpec) -> None:
    if rows is None:
        raise TensorMismatchError(f"{path}: input '{spec.name}' is missing")
    if not _fits(rows.shape, spec) or not _of_type(rows, spec):
        wanted = "x".join(["n", *map(str, spec.shape[1:])])
        found = "x".join(map(str, rows.shape))
        raise TensorMismatchError(
            f"{path}: input '{spec.name}' is {found} {rows.dtype}, expected {wanted} {spec.dtype}",
            hint=_hint(rows, spec),
        )


def _of_type(rows: Column, spec: TensorSpec) -> bool:
    # Text is of any length.
    return rows.dtype == spec.dtype or (rows.dtype.kind == "U" and spec.dtype == "str")


def _hint(rows: Column, spec: TensorSpec) -> str | None:
    """Return what makes rows of another layout or type fit, where that is known."""
    rank = len(spec.shape)
    if len(rows.shape) == rank and rank > 3:
        last, first = (0, rank - 1, *range(1, rank - 1)), (0, *range(2, rank), 1)
        for where, axes in (("last", last), ("first", first)):
            if _fits(tuple(rows.shape[axis] for axis in axes), spec):
                return f"its channels come {where}: pass rows.transpose{axes}"
    if _fits(rows.shape, spec):
        return f"pass rows.astype('{spec.dtype}')"
    return None


def _fits(shape: tuple[int, ...], spec: TensorSpec) -> bool:
    pairs = zip(spec.shape[1:], shape[1:], strict=False)
    same = all(isinstance(size, str) or size == found for size, found in pairs)
    return same and len(shape) == len(spec.shape)


def _check_labels(path: Path, labels: Column | None, count: int) -> None:
    if labels is None:
        return
    if labels.shape[:1] != (count,) or labels.dtype.kind not in "iuf":
        raise ConfigurationError(
            f"{path}: 'labels' is {labels.shape} {labels.dtype}, expected ({count}, ...) of numbers"
        )


def _column(columns: Mapping[str, Column], name: str, specs: Sequence[TensorSpec]) -> Column | None:
    """Return an array that is about rows; what an input of the model is called is that input."""
    return None if any(spec.name == name for spec in specs) else columns.get(name)


def _labels(path: Path, file: RowFile, specs: Sequence[TensorSpec], rows: Indices) -> Labels | None:
    """Return the labels of some rows, i8 or f8."""
    if _column(file.columns, "labels", specs) is None:
        return None
    found = file.take("labels", rows)
    if found.dtype.kind != "f":
        return found.astype(np.int64)
    if not np.isfinite(found).all():
        raise ConfigurationError(f"{path}: 'labels' has NaN or infinity")
    return found.astype(np.float64)


def _verification(
    path: Path, file: RowFile, specs: Sequence[TensorSpec], count: int
) -> NDArray[np.bool_] | None:
    column = _column(file.columns, "verification", specs)
    if column is None:
        return None
    if column.shape != (count,) or column.dtype != np.bool_:
        raise ConfigurationError(f"{path}: 'verification' must be ({count},) of booleans")
    return file.take("verification", np.arange(count)).astype(np.bool_)


def _split(verification: NDArray[np.bool_] | None, count: int) -> tuple[Indices, Indices]:
    """Return the rows to prove on, and those that may calibrate.

    Where the file does not say, evenly spaced ones may calibrate, a quarter at most.
    """
    if verification is None:
        pool = _evenly(np.arange(count), min(POOL * MAX_CALIBRATION_ROWS, count // 4))
        verification = ~np.isin(np.arange(count), pool)
    return np.flatnonzero(verification), np.flatnonzero(~verification)


def _evenly(rows: Indices, most: int) -> Indices:
    """Return evenly spaced ones of the rows, all where there are no more."""
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]
