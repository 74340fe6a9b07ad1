# SPDX-License-Identifier: Apache-2.0
"""Golden samples: a few inputs, and what the source model and each variant answer to them.

They are one .npz with `input.<name>`, `output.<name>` (of the source model),
`result.<name>` (the same after `post`) and `variant.<variant>.<name>` (of a variant
itself, as it was proven). This module compares nothing: whether an engine agrees
is asked by `runtime.candidate`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from insight_edge.bundle.limits import Limits
from insight_edge.bundle.npz import arrays_from_npz, npz_from_arrays
from insight_edge.documents.manifest import Manifest
from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import DocumentError, TensorMismatchError

Arrays = dict[str, NDArray[Any]]

_INPUT = "input."
_OUTPUT = "output."
_RESULT = "result."
_VARIANT = "variant."


class GoldenSamples(msgspec.Struct, frozen=True, kw_only=True):
    """Rows that every artifact of the bundle must answer within its tolerance.

    Attributes:
        inputs: as callers pass them, by the names of `io.inputs`.
        outputs: of the source model before `post`, by the names of `io.model_outputs`.
        results: the same after `post`, by the names of `io.outputs`; none where not recorded.
        answers: raw outputs of each variant itself, by variant; those that were recorded.
    """

    inputs: Arrays
    outputs: Arrays
    results: Arrays
    answers: Mapping[str, Arrays]

    def expected(self, variant: str) -> Arrays:
        """Return what a variant must answer: as it did when proven, else as the source model."""
        return self.answers.get(variant) or self.outputs


def golden_bytes(
    inputs: Mapping[str, NDArray[Any]],
    outputs: Mapping[str, NDArray[Any]],
    answers: Mapping[str, Mapping[str, NDArray[Any]]] | None = None,
    results: Mapping[str, NDArray[Any]] | None = None,
) -> bytes:
    """Return the .npz of golden samples; equal arrays give equal bytes.

    Raises:
        DocumentError: an array is not of numbers, booleans or text.
    """
    named = {_INPUT + name: array for name, array in inputs.items()}
    named |= {_OUTPUT + name: array for name, array in outputs.items()}
    named |= {_RESULT + name: array for name, array in (results or {}).items()}
    for variant, own in (answers or {}).items():
        named |= {f"{_VARIANT}{variant}.{name}": array for name, array in own.items()}
    return npz_from_arrays(named)


def golden_from_bytes(data: bytes, manifest: Manifest, limits: Limits) -> GoldenSamples:
    """Return the golden samples of a manifest, checked against its io and row count.

    Raises:
        LimitExceededError: they unpack to more than `limits` allow.
        TensorMismatchError: a name, dtype or shape is not the manifest's.
        DocumentError: not an .npz of plain arrays.
    """
    try:
        arrays = arrays_from_npz(
            data, max_bytes=limits.max_golden_bytes, max_arrays=limits.max_golden_arrays
        )
    except DocumentError as error:
        raise type(error)(f"golden samples: {error}", hint=error.hint) from error
    own = {v.name: _named(arrays, f"{_VARIANT}{v.name}.") for v in manifest.variants}
    samples = GoldenSamples(
        inputs=_named(arrays, _INPUT),
        outputs=_named(arrays, _OUTPUT),
        results=_named(arrays, _RESULT),
        answers={name: recorded for name, recorded in own.items() if recorded},
    )
    rows, sides = manifest.golden.rows, (samples.outputs, *samples.answers.values())
    _refuse_mismatch(samples.inputs, manifest.io.inputs, rows, "inputs")
    for outputs in sides:
        _refuse_mismatch(outputs, manifest.io.model_outputs, rows, "outputs")
    if samples.results:
        _refuse_mismatch(samples.results, manifest.io.outputs, rows, "results")
    if len(samples.inputs) + len(samples.results) + sum(map(len, sides)) < len(arrays):
        raise DocumentError("golden samples: an array is neither an input nor an output")
    return samples


def _named(arrays: Arrays, prefix: str) -> Arrays:
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


def _refuse_mismatch(arrays: Arrays, specs: Sequence[TensorSpec], rows: int, side: str) -> None:
    names = {spec.name for spec in specs}
    if names != arrays.keys():
        raise TensorMismatchError(
            f"golden {side}: found {sorted(arrays)}, the manifest names {sorted(names)}"
        )
    for spec in specs:
        array = arrays[spec.name]
        if _dtype(array) != spec.dtype or not _fits(array.shape, spec.shape, rows):
            raise TensorMismatchError(
                f"golden {side}: '{spec.name}' is {_dtype(array)}{list(array.shape)}, the manifest "
                f"says {spec.dtype}{list(spec.shape)} and {rows} rows"
            )


def _dtype(array: NDArray[Any]) -> str:
    return "str" if array.dtype.kind == "U" else np.dtype(array.dtype).name


def _fits(found: tuple[int, ...], shape: tuple[int | str, ...], rows: int) -> bool:
    """Compare shapes; a symbolic dimension takes any size, and the first is the rows."""
    return (
        len(found) == len(shape)
        and found[:1] == (rows,)
        and all(
            isinstance(size, str) or size == actual
            for size, actual in zip(shape[1:], found[1:], strict=True)
        )
    )
