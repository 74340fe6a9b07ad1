# SPDX-License-Identifier: Apache-2.0
"""Rows for a model that nobody gave any: of the right shape and dtype, and of no meaning.

What a dimension without a size may be is not in the graph, so several sizes are
proposed; whether a model runs on them is for the caller to find out.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.documents.tensors import TensorSpec

RANDOM_SEED = 0

FREE_SIZES = (64, 1, 224, 1024, 16000)
"""Tried in order for dimensions that are free: an image that convolutions do not use up and a
text that no table of positions is too short for, one, a photograph, and a second of sound."""

MAX_ELEMENTS = 2**20
"""Of a row; a model of more free dimensions than an image has gets smaller ones."""

Arrays = dict[str, NDArray[Any]]


def random_rows(specs: Sequence[TensorSpec], count: int) -> Iterator[Arrays]:
    """Yield rows to try, by input name; more than once only where a dimension is free.

    Args:
        specs: of the inputs, the first dimension being the rows.
        count: of rows.
    """
    free = any(isinstance(size, str) for spec in specs for size in spec.shape[1:])
    for size in FREE_SIZES if free else (1,):
        shapes = [_shape(spec, size) for spec in specs]
        if size == 1 or max(map(math.prod, shapes)) <= MAX_ELEMENTS:
            random = np.random.default_rng(RANDOM_SEED)
            yield {
                spec.name: _rows(random, spec.dtype, (count, *shape))
                for spec, shape in zip(specs, shapes, strict=True)
            }


def random_rows_after(rows: Arrays, count: int) -> Arrays:
    """Return rows by input name: at most `count` of these, and random ones of their shapes."""
    random = np.random.default_rng(RANDOM_SEED)
    first = {name: array[:count] for name, array in rows.items()}
    return {
        name: np.concatenate(
            [array, _rows(random, str(array.dtype), (count - len(array), *array.shape[1:]))]
        )
        for name, array in first.items()
    }


def _shape(spec: TensorSpec, size: int) -> tuple[int, ...]:
    return tuple(size if isinstance(each, str) else each for each in spec.shape[1:])


def _rows(random: np.random.Generator, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return normal noise, or zeros and ones where an index may be meant."""
    if np.dtype(dtype).kind == "f":
        return random.standard_normal(shape).astype(dtype)
    return random.integers(0, 2, shape).astype(dtype)
