# SPDX-License-Identifier: Apache-2.0
"""What a member of the zoo is, and what is written of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Arrays = dict[str, Array]

SEED = 0
CALIBRATION = "calibration.npz"
CARD = "card.json"
WEIGHTS = "weights.pt"
"""Of a network of `zoo.networks`, for those who run it without compiling it."""


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """What a member was trained on, and how good it is.

    Attributes:
        name: of the member.
        family: the kind of model.
        file: what is compiled, in the folder of the card.
        task: in words.
        data: what it was trained on, and in which package that ships.
        licence: of the data, or of a model that was not trained here.
        metric: in words; what it is the share or the ratio of.
        value: of the source model on the verification rows; None where nobody knows the truth.
        labelled: whether the verification rows have labels; if not, an artifact is proven by
            agreement with the source model.
        rows: how many, by what they were used for.
        note: what else should be known.
    """

    name: str
    family: str
    file: str
    task: str
    data: str
    licence: str
    metric: str
    value: float | None
    labelled: bool
    rows: dict[Literal["training", "calibration", "verification"], int]
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Inputs by name, and the truth where it is known."""

    inputs: Arrays
    labels: Array | None = None

    def __len__(self) -> int:
        """Return how many there are."""
        return len(next(iter(self.inputs.values())))

    def some(self, most: int) -> "Rows":
        """Return evenly spaced ones, all where there are no more."""
        if len(self) <= most:
            return self
        chosen = np.linspace(0, len(self) - 1, most).astype(np.int64)
        return Rows(
            inputs={name: rows[chosen] for name, rows in self.inputs.items()},
            labels=None if self.labels is None else self.labels[chosen],
        )


@dataclass(frozen=True, kw_only=True)
class Data:
    """Rows of a task: training and verification share no picture, document or stretch of time.

    Attributes:
        training: what is learnt from; some of it calibrates.
        verification: what is proven on.
        classes: their names, empty where nothing is classified.
    """

    training: Rows
    verification: Rows
    classes: tuple[str, ...] = ()


Make = Callable[[Path, float], Card]
"""Writes a member into a folder; the number is the share of the usual training steps."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """A model that can be made.

    Attributes:
        name: of its folder.
        make: writes it.
        network: whether `zoo.networks` has it, so that PyTorch can run it as it was trained.
    """

    name: str
    make: Make
    network: bool = False
