# SPDX-License-Identifier: Apache-2.0
"""Tables of numbers for models that are no networks; a third of each is proven on."""

import csv
import io
import zipfile

import numpy as np
from numpy.typing import NDArray

from zoo.member import SEED, Data, Rows
from zoo.shipped import shipped

VERIFICATION_SHARE = 0.4


def digits() -> Data:
    """Return handwritten digits of 8 x 8 pixels, as scikit-learn ships them."""
    from sklearn.datasets import load_digits

    found = load_digits()
    return _split(found.data, found.target, tuple("0123456789"))


def segments() -> Data:
    """Return patches of outdoor pictures by 18 figures of each, and what is to be seen."""
    with zipfile.ZipFile(shipped("river/datasets/segment.csv.zip")) as archive:
        text = archive.read(archive.namelist()[0]).decode()
    rows = list(csv.reader(io.StringIO(text)))[1:]
    names = tuple(sorted({row[-1] for row in rows}))
    values = np.array([[float(value) for value in row[:-1]] for row in rows])
    return _split(values, np.array([names.index(row[-1]) for row in rows]), names)


def affairs() -> Data:
    """Return answers to a survey of 1974, and whether the woman asked had an affair."""
    with shipped("statsmodels/datasets/fair/fair.csv").open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    values = np.array([[float(value) for value in row] for row in rows])
    return _split(values[:, :-1], values[:, -1] > 0, ("no", "yes"))


def _split(
    values: NDArray[np.float64], labels: NDArray[np.generic], names: tuple[str, ...]
) -> Data:
    order = np.random.default_rng(SEED).permutation(len(values))
    cut = int(len(values) * (1 - VERIFICATION_SHARE))
    x, y = values.astype(np.float32)[order], labels.astype(np.int64)[order]
    return Data(
        training=Rows(inputs={"X": x[:cut]}, labels=y[:cut]),
        verification=Rows(inputs={"X": x[cut:]}, labels=y[cut:]),
        classes=names,
    )
