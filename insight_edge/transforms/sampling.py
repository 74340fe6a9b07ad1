# SPDX-License-Identifier: Apache-2.0
"""Look at a few places of a large image, at others with every row, the same everywhere.

Of an image every `stride` points a block of two by two neighbours is read: its levels and
contrast are those of points all over it, its sharpness that of true neighbours. Where the
blocks begin depends on the number of the row alone and goes through all places, so rows of a
stream see every point. The reference is counted so too: what a sample misses of an image is
in the reference as it is in a window, and moves no score.

What is computed of the blocks is the business of `measures`.
"""

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from insight_edge.documents.steps import Feature
from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import ConfigurationError

LARGEST_WHOLE: Final = 16 * 1024
"""A row of more numbers is sampled unless a description says otherwise: counting all of it takes
a quarter of the time of a MobileNet's inference."""

MOST_SAMPLED: Final = 8 * 1024
"""As many numbers of it are read at most: less than a twentieth of that."""

_BLOCK = 2
_GOLDEN = (math.sqrt(5) - 1) / 2

Tensors = Mapping[str, NDArray[Any]]


class Sampler(msgspec.Struct, frozen=True, dict=True):
    """Takes blocks of rows of one shape.

    Attributes:
        shape: of a row.
        spatial: the two dimensions of the batch that are height and width.
        stride: points from a block to the next.
    """

    shape: tuple[int, ...]
    spatial: tuple[int, int]
    stride: int

    @cached_property
    def sampled_shape(self) -> tuple[int, ...]:
        """Of a row of what is taken, blocks side by side."""
        blocks = dict(zip(self.spatial, self._blocks, strict=True))
        return tuple(_BLOCK * blocks.get(i, 0) or n for i, n in enumerate(self.shape, 1))

    @cached_property
    def places(self) -> int:
        """How many rows it takes until the blocks lie where they lay."""
        return math.prod(self._offsets)

    def blocks(self, rows: NDArray[Any], number: int) -> NDArray[Any]:
        """Return a view of the blocks of rows (n, ...), as `sampled_shape` has them, not joined.

        `number` says where they begin: one after the other they are spread over all places.
        """
        rows = np.ascontiguousarray(rows)
        shape, strides, down, across = self._view
        first, second = divmod(number * self._step % self.places, self._offsets[1])
        size, itemsize = math.prod(self.shape), rows.itemsize
        return np.ndarray(
            (len(rows), *shape),
            rows.dtype,
            rows,
            (first * down + second * across) * itemsize,
            (size * itemsize, *[step * itemsize for step in strides]),
        )

    def joined(self, rows: NDArray[Any], number: int) -> NDArray[Any]:
        """Return the blocks of rows as (n, *sampled_shape), a copy."""
        return self.blocks(rows, number).reshape(len(rows), *self.sampled_shape)

    @cached_property
    def _view(self) -> tuple[tuple[int, ...], tuple[int, ...], int, int]:
        """Return shape and strides of the blocks of a row, then the strides of both dimensions."""
        blocks = dict(zip(self.spatial, self._blocks, strict=True))
        shape: list[int] = []
        strides: list[int] = []
        spatial: list[int] = []
        for axis, size in enumerate(self.shape, 1):
            step = math.prod(self.shape[axis:])
            if axis in blocks:
                shape += [blocks[axis], _BLOCK]
                strides += [self.stride * step, step]
                spatial.append(step)
            else:
                shape.append(size)
                strides.append(step)
        down, across = spatial
        return tuple(shape), tuple(strides), down, across

    @cached_property
    def _step(self) -> int:
        """Of the places, from a row to the next: neighbours in time are far apart."""
        step = max(1, round(self.places * _GOLDEN))
        while math.gcd(step, self.places) > 1:
            step += 1
        return step

    @cached_property
    def _blocks(self) -> tuple[int, int]:
        height, width = (self.shape[axis - 1] // self.stride for axis in self.spatial)
        return height, width

    @cached_property
    def _offsets(self) -> tuple[int, int]:
        """How many places a block can begin at, in either dimension, so that all points are met."""
        height, width = (
            self.shape[axis - 1] - (count - 1) * self.stride - _BLOCK + 1
            for axis, count in zip(self.spatial, self._blocks, strict=True)
        )
        return height, width


class Sampling:
    """Takes blocks of the tensors that are sampled, and leaves the others whole.

    Raises:
        ConfigurationError: a tensor cannot be sampled so.
    """

    def __init__(
        self,
        strides: Mapping[str, int],
        features: Sequence[Feature],
        specs: Sequence[TensorSpec],
    ) -> None:
        known = {spec.name: spec for spec in specs}
        self._samplers = {
            name: _sampler(name, stride, features, known.get(name))
            for name, stride in strides.items()
        }

    @property
    def names(self) -> frozenset[str]:
        """Of the tensors that are sampled."""
        return frozenset(self._samplers)

    def specs(self, specs: Sequence[TensorSpec]) -> tuple[TensorSpec, ...]:
        """Return what the tensors are once sampled."""
        return tuple(self._spec(spec) for spec in specs)

    def blocks(self, tensors: Tensors, number: int) -> Tensors:
        """Return views of the tensors of one call, to be copied."""
        found = {name: each.blocks(tensors[name], number) for name, each in self._samplers.items()}
        return {**tensors, **found}

    def joined(self, tensors: Tensors, number: int) -> Tensors:
        """Return the tensors of one call, sampled."""
        found = {name: each.joined(tensors[name], number) for name, each in self._samplers.items()}
        return {**tensors, **found}

    def stream(self, tensors: Tensors) -> Tensors:
        """Return the tensors of a stream of calls of one row each, the first with number 0."""
        found = {name: _streamed(each, tensors[name]) for name, each in self._samplers.items()}
        return {**tensors, **found}

    def _spec(self, spec: TensorSpec) -> TensorSpec:
        if spec.name not in self._samplers:
            return spec
        shape = (spec.shape[0], *self._samplers[spec.name].sampled_shape)
        return TensorSpec(name=spec.name, dtype=spec.dtype, shape=shape)


def default_strides(features: Sequence[Feature], specs: Sequence[TensorSpec]) -> dict[str, int]:
    """Return strides of images of more than `LARGEST_WHOLE`: the least for `MOST_SAMPLED`."""
    found: dict[str, int] = {}
    for spec in specs:
        own = [feature for feature in features if feature.tensor == spec.name]
        sizes = [size for size in spec.shape[1:] if isinstance(size, int)]
        if not own or len(sizes) < len(spec.shape) - 1 or math.prod(sizes) <= LARGEST_WHOLE:
            continue
        for stride in range(_BLOCK + 1, max(sizes)):
            try:
                sampler = _sampler(spec.name, stride, features, spec)
            except ConfigurationError:
                break  # no image, or too flat
            if math.prod(sampler.sampled_shape) <= MOST_SAMPLED:
                found[spec.name] = stride
                break
    return found


def _sampler(
    name: str, stride: int, features: Sequence[Feature], spec: TensorSpec | None
) -> Sampler:
    own = [feature for feature in features if feature.tensor == name]
    sizes = () if spec is None else spec.shape[1:]
    shape = tuple(size for size in sizes if isinstance(size, int))
    if not own or len(shape) < len(sizes):
        raise ConfigurationError(f"observe: stride of '{name}', which is no image of fixed size")
    spatial = _spatial(own, len(sizes) + 1)
    if spatial is None:
        raise ConfigurationError(
            f"observe: '{name}' cannot be sampled",
            hint="images with one dimension of channels can, and no `value` of them is observed",
        )
    if not _BLOCK <= stride <= min(shape[axis - 1] for axis in spatial):
        raise ConfigurationError(f"observe: a stride of {stride} does not fit '{name}'")
    return Sampler(shape, spatial, stride)


def _spatial(features: Sequence[Feature], rank: int) -> tuple[int, int] | None:
    """Return the dimensions of height and width: all but the batch and the channels."""
    if any(feature.measure == "value" for feature in features):
        return None
    if rank == 3 and all(feature.index is None for feature in features):
        return 1, 2
    channels = {feature.axis % rank for feature in features}
    if rank != 4 or len(channels) > 1:
        return None
    first, second = (axis for axis in (1, 2, 3) if axis not in channels)
    return first, second


def _streamed(sampler: Sampler, rows: NDArray[Any]) -> NDArray[Any]:
    found = np.empty((len(rows), *sampler.sampled_shape), rows.dtype)
    for first in range(min(len(rows), sampler.places)):
        found[first :: sampler.places] = sampler.joined(rows[first :: sampler.places], first)
    return found
