# SPDX-License-Identifier: Apache-2.0
"""Rows made ready to be asked: checked, prepared and batched as an artifact takes them."""

from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.bundle.open import Bundle
from insight_edge.documents.tensors import TensorSpec
from insight_edge.runtime.boundary import Boundary
from insight_edge.runtime.seam import Session
from insight_edge.transforms.executor import run
from insight_edge.transforms.vocabulary import held

Arrays = dict[str, NDArray[Any]]
Query = tuple[Arrays, ...]
"""One batch, or as many as the rows of a query take."""


def queries_of(bundle: Bundle, given: Arrays, rows: int) -> tuple[list[Query], int]:
    """Return queries to ask, and how many rows each has; together they hold every row given.

    Rows pass the check and the `pre` that a caller's inputs pass on the device. They
    are copied: files give read-only arrays, which some engines copy at every call.

    Args:
        bundle: whose inputs they are.
        given: rows as callers pass them.
        rows: of a query; as many as the artifact takes at once, where that is more.

    Raises:
        TensorMismatchError: the rows are none that the bundle takes.
    """
    manifest = bundle.manifest
    size = _fixed_size(manifest.io.inputs) or rows
    boundary, per_query = Boundary(manifest.io.inputs), rows_of_a_query(bundle, rows) // size
    _tokenizers = held(manifest.pre, bundle.vocabulary)
    batches = []
    for batch in batches_of(_filled(given, size * per_query), manifest.io.inputs, size):
        boundary.rows(batch)
        tensors = run(manifest.pre, batch)
        batches.append({spec.name: tensors[spec.name].copy() for spec in manifest.io.model_inputs})
    starts = range(0, len(batches), per_query)
    return [tuple(batches[at : at + per_query]) for at in starts], size * per_query


def rows_of_a_query(bundle: Bundle, rows: int) -> int:
    """Return how many rows a query has where so many are asked for, at least 1.

    As many more as make whole batches, where the artifact takes a fixed number at once.
    """
    size = _fixed_size(bundle.manifest.io.inputs) or rows
    return size * -(-rows // size)


def asking(session: Session, queries: list[Query]) -> tuple[Callable[[Any], object], Iterator[Any]]:
    """Return a call and queries without end for it; of one batch each, nothing stands between."""
    if len(queries[0]) == 1:
        return session.infer, cycle([query[0] for query in queries])

    def ask(query: Query) -> None:
        for batch in query:
            session.infer(batch)

    return ask, cycle(queries)


def batches_of(rows: Arrays, specs: tuple[TensorSpec, ...], free: int) -> Iterator[Arrays]:
    """Yield rows in batches of the size that is fixed, or of `free`."""
    size = _fixed_size(specs) or free
    for start in range(0, len(next(iter(rows.values()))), size):
        yield {name: array[start : start + size] for name, array in rows.items()}


def _filled(rows: Arrays, multiple: int) -> Arrays:
    """Return rows again from the first on until there are a multiple of so many."""
    count = len(next(iter(rows.values())))
    if count % multiple == 0:
        return rows
    filled = np.arange(-(-count // multiple) * multiple) % count
    return {name: array[filled] if len(array) == count else array for name, array in rows.items()}


def _fixed_size(specs: tuple[TensorSpec, ...]) -> int | None:
    """Return how many rows a batch has, None where that is free."""
    sizes = [spec.shape[0] for spec in specs if spec.shape]
    return next((fixed for fixed in sizes if isinstance(fixed, int)), None)
