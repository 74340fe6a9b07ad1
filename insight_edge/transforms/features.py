# SPDX-License-Identifier: Apache-2.0
"""Features: the few numbers a row that the observer counts.

`extract` computes them for a chunk of rows; the other functions name the
default ones for images, tables and class probabilities. What a measure
computes is in `measures`; counting is the business of `stats`.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.documents.steps import Feature, Measure
from insight_edge.errors import ConfigurationError
from insight_edge.transforms.measures import MEASURES, MEASURES_OF_BLOCKS, Rows, flattened

_Where = slice | NDArray[np.intp]

MAX_INPUT_FEATURES = 64
"""Each costs the device time and memory, and each is one more test that can raise a false alarm."""

IMAGE_MEASURES: tuple[Measure, ...] = ("mean", "std", "min", "max", "contrast", "sharpness")
CHANNEL_MEASURES: tuple[Measure, ...] = ("mean", "std")
PROBABILITY_MEASURES: tuple[Measure, ...] = ("confidence", "margin", "entropy", "top")


class Extractor:
    """Computes features of tensors; what can be known before there is a row is looked up once.

    Args:
        features: in the order of the columns.
        sampled: names of tensors that consist of blocks.
    """

    def __init__(self, features: Sequence[Feature], sampled: Collection[str] = frozenset()) -> None:
        self._width = len(features)
        self._gathered = tuple(_gathered(features))
        self._summarised = tuple(
            (
                column,
                feature,
                (feature.tensor, feature.index, feature.axis),
                _measure(feature, sampled),
            )
            for column, feature in enumerate(features)
            if feature.measure != "value"
        )

    def rows(self, tensors: Mapping[str, NDArray[Any]]) -> Rows:
        """Return one column a feature and one row a batch entry, float64 (n, features).

        `value` is the element at `index` of the flattened row. The other measures
        summarise the row, or its channel `index` along dimension `axis`. NaN in what
        a feature reads makes that feature NaN in that row; nothing warns or raises
        for a value. Each row depends on itself alone, bit for bit.

        Raises:
            ValueError: there is no tensor, so that the number of rows is unknown.
        """
        if not tensors:
            raise ValueError("no tensors to extract features from")
        table = np.empty((len(next(iter(tensors.values()))), self._width))
        selected: dict[tuple[str, int | None, int], Rows] = {}
        with np.errstate(all="ignore"):
            for name, columns, indices in self._gathered:
                table[:, columns] = flattened(tensors[name])[:, indices]
            for column, feature, key, measure in self._summarised:
                if key not in selected:
                    selected[key] = _select(tensors[feature.tensor], feature)
                table[:, column] = measure(selected[key])
        return table


def extract(features: Sequence[Feature], tensors: Mapping[str, NDArray[Any]]) -> Rows:
    """Return the rows that an `Extractor` of these features makes of the tensors, once.

    Raises:
        ValueError: there is no tensor, so that the number of rows is unknown.
    """
    return Extractor(features).rows(tensors)


def image_features(tensor: str, channels: int = 1, *, axis: int = 1) -> tuple[Feature, ...]:
    """Return the default features of images: of the whole image, and of each of several channels.

    Raises:
        ConfigurationError: more than `MAX_INPUT_FEATURES`.
    """
    whole = [
        Feature(name=f"{tensor}.{measure}", tensor=tensor, measure=measure, axis=axis)
        for measure in IMAGE_MEASURES
    ]
    each = [
        Feature(
            name=f"{tensor}.{measure}.{channel}",
            tensor=tensor,
            measure=measure,
            index=channel,
            axis=axis,
        )
        for channel in range(channels if channels > 1 else 0)
        for measure in CHANNEL_MEASURES
    ]
    return _within_limit(tensor, (*whole, *each))


def column_features(tensor: str, names: Sequence[str]) -> tuple[Feature, ...]:
    """Return one feature for each named column of a table (n, columns).

    Raises:
        ConfigurationError: more than `MAX_INPUT_FEATURES`, or a name is there twice.
    """
    if len(set(names)) < len(names):
        raise ConfigurationError(f"a column of '{tensor}' is named twice")
    columns = (
        Feature(name=name, tensor=tensor, measure="value", index=index)
        for index, name in enumerate(names)
    )
    return _within_limit(tensor, tuple(columns))


def output_features(tensor: str) -> tuple[Feature, ...]:
    """Return the default features of class probabilities (n, classes)."""
    return tuple(
        Feature(name=f"{tensor}.{measure}", tensor=tensor, measure=measure)
        for measure in PROBABILITY_MEASURES
    )


def _measure(feature: Feature, sampled: Collection[str]) -> Callable[[Rows], Rows]:
    return (MEASURES_OF_BLOCKS if feature.tensor in sampled else MEASURES)[feature.measure]


def _gathered(features: Sequence[Feature]) -> Iterator[tuple[str, _Where, _Where]]:
    """Yield the columns and elements of the `value` features of each tensor."""
    found: dict[str, list[tuple[int, int]]] = {}
    for column, feature in enumerate(features):
        if feature.measure == "value":
            found.setdefault(feature.tensor, []).append((column, feature.index or 0))
    for name, pairs in found.items():
        columns, indices = zip(*pairs, strict=True)
        yield name, _where(columns), _where(indices)


def _where(places: Sequence[int]) -> _Where:
    """Return places in order; as a slice, which NumPy copies several times as fast, if they are."""
    first, count = places[0], len(places)
    if tuple(places) == tuple(range(first, first + count)):
        return slice(first, first + count)
    return np.array(places)


def _select(tensor: NDArray[Any], feature: Feature) -> Rows:
    """Return the rows a feature reads, channels ahead of the spatial dimensions, contiguous."""
    if feature.index is not None:
        tensor = tensor.take(feature.index, axis=feature.axis)
    elif tensor.ndim == 4:
        tensor = np.moveaxis(tensor, feature.axis, 1)
    # Contiguous once, or every measure would copy; the order of summation is that of the rows.
    return np.ascontiguousarray(tensor, dtype=np.float64)


def _within_limit(tensor: str, features: tuple[Feature, ...]) -> tuple[Feature, ...]:
    if len(features) > MAX_INPUT_FEATURES:
        raise ConfigurationError(
            f"{len(features)} features of '{tensor}', at most {MAX_INPUT_FEATURES} are observed",
            hint="name the features that matter in `observe`",
        )
    return features
