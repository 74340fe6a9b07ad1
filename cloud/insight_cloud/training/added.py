# SPDX-License-Identifier: Apache-2.0
"""Labelled rows that come to a data set after its splits were cut, such as those of people.

A part of them, told by their content alone, is held out: a row that was held out once
is never trained on, in whichever training it comes again. Pure.
"""

import hashlib
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from insight_cloud.datasets.dataset import Dataset, Split
from insight_edge.bundle.npz import arrays_from_npz
from insight_edge.errors import DocumentError, TensorMismatchError

LABELS: Final = "labels"
IGNORED: Final = frozenset({"at_s", "ids"})
"""Arrays that may be there, for people who look into the file."""

MAX_BYTES: Final = 512 * 1024 * 1024
MAX_ROWS: Final = 1_000_000

ADDED: Final = "added"
"""The split that is trained on after `train`."""

HELD_OUT: Final = "labelled"
"""The split that is evaluated on beside `validation`."""


def dataset_with(dataset: Dataset, data: bytes, *, holdout: float) -> Dataset:
    """Return the data set with two splits more, `added` and `labelled`, in the order of the rows.

    Args:
        dataset: what there was.
        data: .npz of rows by the name of the input, and their `labels`, in the order of time.
        holdout: about which share of them is `labelled`.

    Raises:
        LimitExceededError: it is more than is ever read.
        DocumentError: it is not such a file, or has an array that nobody asked for.
        TensorMismatchError: a dtype, a shape or a label is not the data set's.
    """
    arrays = arrays_from_npz(data, max_bytes=MAX_BYTES, max_arrays=2 + len(IGNORED))
    wanted = {dataset.input_name, LABELS}
    if not wanted <= arrays.keys() <= wanted | IGNORED:
        raise DocumentError(
            f"labelled rows: arrays {', '.join(sorted(arrays)) or 'none'}",
            hint=f"wanted: {', '.join(sorted(wanted))}",
        )
    inputs, labels = arrays[dataset.input_name], arrays[LABELS]
    _check_inputs(inputs, dataset)
    _check_labels(labels, len(inputs), len(dataset.classes))
    held = held_out(inputs, holdout)
    splits = {ADDED: _split(inputs, labels, ~held), HELD_OUT: _split(inputs, labels, held)}
    return replace(dataset, splits=dataset.splits | splits)


def held_out(inputs: NDArray[Any], share: float) -> NDArray[np.bool_]:
    """Return which rows are held out; equal rows always fall on the same side."""
    return np.array([_place(row) < share for row in inputs], np.bool_)


def _place(row: NDArray[Any]) -> float:
    head = hashlib.sha256(np.ascontiguousarray(row).tobytes()).digest()[:8]
    return int.from_bytes(head, "big") / 2**64


def _split(inputs: NDArray[Any], labels: NDArray[Any], chosen: NDArray[np.bool_]) -> Split:
    return Split(
        rows=tuple(np.flatnonzero(chosen).tolist()),
        inputs=inputs[chosen],
        labels=labels[chosen].astype(np.int64),
    )


def _check_inputs(inputs: NDArray[Any], dataset: Dataset) -> None:
    like = dataset.splits["train"].inputs
    if inputs.ndim == 0 or not 0 < len(inputs) <= MAX_ROWS:
        raise TensorMismatchError(f"labelled rows: 1 to {MAX_ROWS} are taken")
    if (inputs.dtype, inputs.shape[1:]) != (like.dtype, like.shape[1:]):
        raise TensorMismatchError(
            f"labelled rows of {inputs.dtype} {inputs.shape[1:]}; "
            f"'{dataset.name}' has {like.dtype} {like.shape[1:]}"
        )
    if not 0 <= inputs.min() <= inputs.max() <= dataset.peak:
        raise TensorMismatchError(f"labelled rows: values are 0 to {dataset.peak:g}")


def _check_labels(labels: NDArray[Any], rows: int, classes: int) -> None:
    if labels.shape != (rows,) or labels.dtype.kind not in "iu":
        raise TensorMismatchError(f"labels must be whole numbers ({rows},), one a row")
    if not 0 <= labels.min() <= labels.max() < classes:
        raise TensorMismatchError(f"a label is not one of 0 to {classes - 1}")
