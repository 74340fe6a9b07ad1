# SPDX-License-Identifier: Apache-2.0
"""The 1797 scanned digits that come with scikit-learn, 8x8 pixels of 0 to 16.

E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine
Learning Repository, 1998; the test part. Who wrote which digit is not recorded
there, so one writer may be in several splits.
"""

import hashlib
from importlib.metadata import PackageNotFoundError, distribution

import numpy as np

from insight_cloud.datasets.dataset import Dataset, Split
from insight_cloud.datasets.splits import stratified_splits
from insight_edge.errors import DigestMismatchError, ToolchainMissingError

SIZES = {"train": 700, "validation": 360, "pool": 380, "final": 357}
"""Rows a split: training; evaluation and calibration; unlabelled until someone labels them;
and those that are never labelled, trained on or chosen by."""

FILE = "sklearn/datasets/data/digits.csv.gz"
"""Of scikit-learn: a line an image, its pixels row by row, then what it shows."""

SEED = "digits"
CONTENT_SHA256 = "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"
"""Of the images as uint8, then the labels as uint8: what the splits were cut from."""


def load_digits() -> Dataset:
    """Return the digits with their four splits.

    Images are uint8 (rows, 8, 8); labels int64 (rows,).

    Raises:
        ToolchainMissingError: scikit-learn is not installed.
        DigestMismatchError: its digits are not those that the splits were cut from.
    """
    content = _content()
    if hashlib.sha256(content).hexdigest() != CONTENT_SHA256:
        raise DigestMismatchError(
            "scikit-learn's digits have changed since they were split",
            hint="install the scikit-learn of the lock",
        )
    values = np.frombuffer(content, np.uint8)
    images = values[: -sum(SIZES.values())].reshape(-1, 8, 8)
    labels = values[-len(images) :].astype(np.int64)
    splits = stratified_splits(labels.tolist(), SIZES, seed=SEED)
    return Dataset(
        name="digits",
        input_name="image",
        peak=16.0,
        classes=tuple(str(digit) for digit in range(10)),
        splits={
            name: Split(rows=rows, inputs=images[list(rows)], labels=labels[list(rows)])
            for name, rows in splits.items()
        },
    )


def _content() -> bytes:
    """Return the images, then the labels, a byte each.

    The file is read as it lies there: scikit-learn itself takes longer to import than
    a small network to train.
    """
    try:
        path = distribution("scikit-learn").locate_file(FILE)
    except PackageNotFoundError as error:
        raise ToolchainMissingError(
            "the digits come with scikit-learn, which is not installed",
            hint="pip install 'insight-cloud[train]'",
        ) from error
    try:
        rows = np.loadtxt(str(path), np.uint8, delimiter=",", ndmin=2)
    except (OSError, ValueError):  # moved, or written otherwise
        return b""
    return rows[:, :-1].tobytes() + rows[:, -1].tobytes()
