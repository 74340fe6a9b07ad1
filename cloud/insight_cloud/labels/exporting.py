# SPDX-License-Identifier: Apache-2.0
"""Finished labels as arrays to train on: what callers passed, and what people said it was.

Nothing is recorded here. Only so much is exported that a training can hold it: the
labels decided last.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight_cloud.labels.rules import Task
from insight_cloud.platform.errors import ConflictError, NotFoundError
from insight_edge.bundle.npz import npz_from_arrays
from insight_edge.errors import DocumentError

MAX_ROWS = 50_000
MAX_BYTES = 256 * 1024 * 1024
"""Of all inputs together."""

RESERVED = frozenset({"labels", "at_s", "ids"})
"""Arrays beside the inputs."""

Arrays = Mapping[str, NDArray[Any]]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class LabelledRow:
    """One input with its label as an index in the newest version's classes."""

    id: str
    at_s: float
    label: int
    inputs: Arrays


def labelled_rows(
    tasks: Sequence[Task], read: Callable[[Task], Arrays], *, max_bytes: int = MAX_BYTES
) -> list[LabelledRow]:
    """Return the rows that fit together, in the order of their time.

    Left out is what the newest version of the model would not understand: a class it does not
    have, inputs of another shape or dtype; and what cannot be read any more.

    Args:
        tasks: finished ones of one model, the latest decided first; of newer versions they are
            taken first.
        read: returns the inputs of one, or raises.
        max_bytes: of all inputs together.
    """
    classes = max(tasks, key=lambda task: task.version).classes if tasks else ()
    found: list[LabelledRow] = []
    length_bytes = 0
    for task in sorted(tasks, key=lambda task: -task.version):  # stable: latest decided first
        row = _row(task, classes, read)
        if row is None or (found and not _alike(found[0].inputs, row.inputs)):
            continue
        length_bytes += sum(array.nbytes for array in row.inputs.values())
        if length_bytes > max_bytes:
            break
        found.append(row)
    return sorted(found, key=lambda row: (row.at_s, row.id))


def npz_of(rows: Sequence[LabelledRow]) -> bytes:
    """Return rows as an .npz: every input stacked to (n, ...), `labels`, `at_s` and `ids`.

    Raises:
        ConflictError: an input is called as one of the other arrays.
    """
    names = list(rows[0].inputs) if rows else []
    if taken := sorted(RESERVED.intersection(names)):
        raise ConflictError(f"input '{taken[0]}' has the name of an array of the export")
    arrays = {name: np.concatenate([row.inputs[name] for row in rows]) for name in names}
    return npz_from_arrays(
        arrays
        | {
            "labels": np.array([row.label for row in rows], np.int64),
            "at_s": np.array([row.at_s for row in rows], np.float64),
            "ids": np.array([row.id for row in rows], np.str_),
        }
    )


def _row(task: Task, classes: Sequence[str], read: Callable[[Task], Arrays]) -> LabelledRow | None:
    label = _index(task, classes)
    if label is None:
        return None
    try:
        inputs = read(task)
    except (DocumentError, NotFoundError) as error:
        _log.warning("task %s is not exported: %s", task.id, error)
        return None
    return LabelledRow(id=task.result, at_s=task.at_s, label=label, inputs=inputs)


def _index(task: Task, classes: Sequence[str]) -> int | None:
    if task.label is None:
        return None
    if task.label.name is None or not classes:
        return task.label.index
    return classes.index(task.label.name) if task.label.name in classes else None


def _alike(one: Arrays, other: Arrays) -> bool:
    return _looks(one) == _looks(other)


def _looks(arrays: Arrays) -> dict[str, object]:
    return {name: (array.dtype, array.shape[1:]) for name, array in arrays.items()}
