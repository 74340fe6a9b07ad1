# SPDX-License-Identifier: Apache-2.0
"""Where an artifact begins to answer otherwise than its source model: layer by layer, pure.

Tensors of both are compared under the source model's names, in its order. Layers
that an engine fused away, or that it names otherwise, are not seen; what is
said of the others holds all the same.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.documents.target import Precision

Array = NDArray[Any]

ENOUGH_DB: Mapping[Precision, float] = {"fp32": 60.0, "bf16": 20.0, "fp16": 40.0, "int8": 10.0}
"""Below this a layer has diverged. On a small convolutional network that was proven, rounding alone
left 130 dB and more in FP32, and in INT8 40 dB at the first layer and 32 at the last; the deeper
the network, the less."""

CHANNELS_LAST = {3: (0, 2, 1), 4: (0, 2, 3, 1), 5: (0, 2, 3, 4, 1)}
SILENCE = 1e-6
"""What a tensor of zeros may become on average (root of the mean square) and count as equal."""

EXACT_DB = 999.0
"""Written for no difference at all: JSON has no infinity."""


@dataclass(frozen=True, kw_only=True)
class SourceTensor:
    """A tensor of the source model, and the operator that makes it.

    Attributes:
        inputs: tensors that the operator takes.
        aliases: what an artifact may call the tensor, the most telling first.
    """

    name: str
    op: str
    node: str
    inputs: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LayerError:
    """How far an artifact is from its source model after one layer.

    Attributes:
        tensor, op, node: as `SourceTensor`.
        sqnr_db: power of the source model's values over that of the error; `EXACT_DB` for none.
        relative: size of the error over the size of the values (L2).
        largest: of the absolute differences.
        diverged: whether that is too much.
    """

    tensor: str
    op: str
    node: str
    sqnr_db: float
    relative: float
    largest: float
    diverged: bool


def compare_layers(
    order: Sequence[SourceTensor],
    source: Mapping[str, Array],
    artifact: Mapping[str, Array],
    *,
    enough_db: float,
) -> tuple[LayerError, ...]:
    """Return the error after each layer that both have, in the source model's order.

    Args:
        order: the source model's tensors as it computes them.
        source: its values.
        artifact: the artifact's, by the same names; axes may be in another order.
        enough_db: below this a layer has diverged.
    """
    return tuple(_compared(order, source, artifact, enough_db))


def first_diverged(errors: Sequence[LayerError]) -> LayerError | None:
    """Return the first layer that has diverged."""
    return next((error for error in errors if error.diverged), None)


def unhealed(order: Sequence[SourceTensor], errors: Sequence[LayerError]) -> tuple[LayerError, ...]:
    """Return the errors without those that no layer after them has: there a name was mistaken.

    What takes a wrong tensor is wrong itself; where all that take it agree, and some were compared,
    it was another tensor that was compared.
    """
    judged = {error.tensor: error.diverged for error in errors}
    readers: dict[str, list[bool]] = {}
    for one in order:
        for name in one.inputs if one.name in judged else ():
            readers.setdefault(name, []).append(judged[one.name])
    return tuple(e for e in errors if not e.diverged or any(readers.get(e.tensor, [True])))


def worst_row(source: Mapping[str, Array], answers: Mapping[str, Array]) -> int:
    """Return the row of outputs that is furthest from the source model's; rows come first."""
    errors: list[NDArray[np.float64]] = []
    for name, found in answers.items():
        wanted = source.get(name)
        if wanted is not None and wanted.shape == found.shape and wanted.ndim:
            apart = np.square(_differences(wanted, found)).reshape(len(wanted), -1).sum(axis=1)
            errors.append(apart / (np.square(_plain(wanted)).sum() or 1.0))
    return int(np.max(errors, axis=0).argmax()) if errors else 0


def worst_layers(errors: Sequence[LayerError], count: int) -> tuple[LayerError, ...]:
    """Return the layers with the largest errors, the worst first."""
    return tuple(sorted(errors, key=lambda error: error.sqnr_db)[:count])


def aligned(source: Array, artifact: Array) -> Array | None:
    """Return the artifact's values in the source model's axes, or None where they do not fit.

    Of several orders of axes that fit the one nearest to the source is meant.
    """
    if source.size != artifact.size:
        return None
    if artifact.ndim != source.ndim:
        # What is only flattened, or has more axes of size 1, holds the same values in order.
        same = [n for n in artifact.shape if n != 1] == [n for n in source.shape if n != 1]
        return artifact.reshape(source.shape) if same else None
    orders = [np.argsort(CHANNELS_LAST[source.ndim])] if source.ndim in CHANNELS_LAST else []
    candidates = [artifact, *(artifact.transpose(order) for order in orders)]
    fitting = [one for one in candidates if one.shape == source.shape]
    return min(fitting, key=lambda one: _distance(source, one), default=None)


def sqnr_db(source: Array, found: Array) -> float:
    """Return the ratio of signal to noise, at most `EXACT_DB` and at least its negative."""
    signal, noise = float(np.square(_plain(source)).sum()), _distance(source, found)
    if noise <= SILENCE**2 * source.size * (signal == 0):
        return EXACT_DB
    if not signal or not math.isfinite(noise) or not math.isfinite(signal):
        return -EXACT_DB
    return max(-EXACT_DB, min(EXACT_DB, 10 * math.log10(signal / noise)))


def _compared(
    order: Sequence[SourceTensor],
    source: Mapping[str, Array],
    artifact: Mapping[str, Array],
    enough_db: float,
) -> Iterator[LayerError]:
    for one in order:
        wanted, found = source.get(one.name), artifact.get(one.name)
        if wanted is None or found is None or not wanted.size:
            continue
        fitted = aligned(wanted, found)
        if fitted is None:
            continue
        decibels = sqnr_db(wanted, fitted)
        yield LayerError(
            tensor=one.name,
            op=one.op,
            node=one.node,
            sqnr_db=decibels,
            relative=10 ** (-decibels / 20),
            largest=_largest(wanted, fitted),
            diverged=decibels < enough_db,
        )


def _plain(values: Array) -> NDArray[np.float64]:
    return values.astype(np.float64)


def _distance(source: Array, found: Array) -> float:
    """Return the power of the difference; infinite where only one is a number."""
    return float(np.square(_differences(source, found)).sum())


def _differences(source: Array, found: Array) -> NDArray[np.float64]:
    left, right = _plain(source), _plain(found)
    with np.errstate(invalid="ignore"):
        difference = np.abs(left - right)
    same = (left == right) | (np.isnan(left) & np.isnan(right))
    return np.where(same, 0.0, np.where(np.isnan(difference), np.inf, difference))


def _largest(source: Array, found: Array) -> float:
    largest = float(_differences(source, found).max(initial=0.0))
    return largest if math.isfinite(largest) else np.finfo(np.float64).max
