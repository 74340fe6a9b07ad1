# SPDX-License-Identifier: Apache-2.0
"""Which tensors of a source model an artifact has, told by their values alone; pure.

For artifacts that show what their steps make and call it by names of their own. A
value that agrees is seen; one that does not may be wrong, or fused away, or made in
another layout. What is wrong is therefore told by what follows: where it begins that
nothing agrees any more.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from insight_edge.compile.layers.divergence import (
    EXACT_DB,
    Array,
    LayerError,
    SourceTensor,
    aligned,
    compare_layers,
    sqnr_db,
)

Arrays = Mapping[str, Array]


def matched(
    order: Sequence[SourceTensor], source: Arrays, made: Arrays, *, enough_db: float
) -> dict[str, Array]:
    """Return by tensor of the source model what a step makes that agrees with it.

    Args:
        order: the source model's tensors.
        source: their values.
        made: by steps.
        enough_db: below this a value is another.
    """
    sizes: dict[int, list[Array]] = {}
    for array in made.values():
        sizes.setdefault(array.size, []).append(array)
    found = {
        one.name: _nearest(source[one.name], sizes.get(source[one.name].size, ()))
        for one in order
        if one.name in source
    }
    return {name: a for name, (a, ratio) in found.items() if a is not None and ratio >= enough_db}


def lost_layers(
    order: Sequence[SourceTensor], source: Arrays, seen: Sequence[str]
) -> tuple[SourceTensor, ...]:
    """Return the layers where it begins that neither an answer nor anything made of it was seen.

    These are several where they were fused into one step: any of them may be wrong.

    Args:
        order: the source model's tensors, in order.
        source: its values; layers without any are passed over.
        seen: tensors that agree.
    """
    sound = set(seen)
    for one in reversed(order):
        if one.name in sound:
            sound.update(one.inputs)
    lost = {one.name for one in order if one.name in source and one.name not in sound}
    return tuple(one for one in order if one.name in lost and not lost.intersection(one.inputs))


def lost_error(lost: SourceTensor, source: Arrays, made: Arrays, *, enough_db: float) -> LayerError:
    """Return the error of a layer that was not seen: that of whatever comes nearest to it."""
    wanted = source[lost.name]
    nearest, _ = _nearest(wanted, [array for array in made.values() if array.size == wanted.size])
    found = {} if nearest is None else {lost.name: nearest}
    for error in compare_layers([lost], source, found, enough_db=enough_db):
        return error
    return LayerError(
        tensor=lost.name,
        op=lost.op,
        node=lost.node,
        sqnr_db=-EXACT_DB,
        relative=10 ** (EXACT_DB / 20),
        largest=float(np.finfo(np.float64).max),
        diverged=True,
    )


def _nearest(wanted: Array, candidates: Sequence[Array]) -> tuple[Array | None, float]:
    best: tuple[Array | None, float] = (None, -np.inf)
    for candidate in candidates:
        fitted = aligned(wanted, candidate)
        ratio = -np.inf if fitted is None else sqnr_db(wanted, fitted)
        best = max(best, (fitted, ratio), key=lambda pair: pair[1])
    return best
