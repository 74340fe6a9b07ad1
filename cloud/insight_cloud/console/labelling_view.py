# SPDX-License-Identifier: Apache-2.0
"""What a person who labels is shown. Pure.

What the model answered is not among it before they have: nobody is led.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight_cloud.labels.rules import Counts, Task, TaskState
from insight_cloud.telemetry.classes import Class

MAX_CLASSES = 200
"""Buttons; a model with more classes is labelled by typing."""

MAX_VALUES = 64
KEYS = "1234567890"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A class that can be chosen.

    Attributes:
        key: that chooses it; None for those past the digits.
    """

    index: int
    name: str
    key: str | None


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far the labelling of a model is."""

    left: int
    done: int
    unusable: int
    total: int


def choices_of(classes: tuple[str, ...]) -> tuple[Choice, ...]:
    """Return the classes with their keys: a class that is a digit has its own, if all are."""
    digits = all(len(name) == 1 and name.isdecimal() and name.isascii() for name in classes)
    keys = classes if digits else tuple(KEYS[: len(classes)])
    return tuple(
        Choice(index=index, name=name, key=keys[index] if index < len(keys) else None)
        for index, name in enumerate(classes[:MAX_CLASSES])
    )


def progress_of(counts: Counts) -> Progress:
    """Return how many are left and done."""
    states: Mapping[TaskState, int] = counts.states
    left, done = states.get(TaskState.OPEN, 0), states.get(TaskState.FINISHED, 0)
    unusable = states.get(TaskState.UNUSABLE, 0)
    return Progress(left=left, done=done, unusable=unusable, total=left + done + unusable)


def class_text(found: Class, classes: tuple[str, ...]) -> str:
    """Return a class as people read it."""
    index, name = found
    if name is not None:
        return name
    if index is None:
        return "nothing that is a class"
    return classes[index] if index < len(classes) else f"class {index}"


def verdict_text(task: Task, said: str) -> str:
    """Return what the model had answered, told to whoever has just said their own."""
    thought = class_text(task.predicted, task.classes)
    if thought == said:
        return f"You said {said}, and so did the model."
    return f"You said {said}; the model had said {thought}."


def values_of(arrays: Mapping[str, NDArray[Any]]) -> dict[str, str]:
    """Return inputs that are no pictures as their shape and first values."""
    shown = {}
    for name, array in arrays.items():
        flat = np.asarray(array).reshape(-1)
        values = " ".join(f"{value:.4g}" if flat.dtype.kind == "f" else str(value)
                          for value in flat[:MAX_VALUES])  # fmt: skip
        more = " …" if flat.size > MAX_VALUES else ""
        shown[f"{name} {tuple(array.shape)}"] = values + more
    return shown
