# SPDX-License-Identifier: Apache-2.0
"""What a source hands over as what a bundle takes: one row, named. Pure.

Names, dtypes and shapes are checked by the runtime; nothing is resized or scaled here.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from insight_edge.bundle.npz import arrays_from_npz
from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import DocumentError, TensorMismatchError
from insight_edge.streaming.seam import Value
from insight_edge.transforms.files import rows_from_files, takes_files

Arrays = dict[str, NDArray[Any]]

MAX_BYTES = 256 * 2**20
"""Of arrays in a message."""

MAX_ARRAYS = 64
ZIP = b"PK\x03\x04"


def inputs_of(value: Value, specs: tuple[TensorSpec, ...]) -> Arrays:
    """Return the inputs of one call.

    Args:
        value: bytes are the file that the bundle takes, or else an .npz or JSON of rows; a
            picture (h, w, 3) is written as PPM for a bundle that takes files.
        specs: of the bundle's inputs.

    Raises:
        DocumentError: bytes are neither.
        TensorMismatchError: an input is missing, or its row cannot be one.
    """
    if isinstance(value, bytes):
        if len(specs) == 1 and takes_files(specs[0]):
            return {specs[0].name: rows_from_files([value])}
        value = _unpacked(value)
    if not isinstance(value, Mapping):
        if len(specs) != 1:
            names = ", ".join(spec.name for spec in specs)
            raise TensorMismatchError(f"a row without names, the bundle takes {names}")
        value = {specs[0].name: value}
    return {spec.name: _row(value, spec) for spec in specs}


def _unpacked(data: bytes) -> Value:
    if data[:4] == ZIP:
        return arrays_from_npz(data, max_bytes=MAX_BYTES, max_arrays=MAX_ARRAYS)
    try:
        found = msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        raise DocumentError(f"neither JSON nor an .npz: {error}") from error
    if not isinstance(found, dict | list):
        raise DocumentError("neither an object nor a list")
    return found


def _row(rows: Mapping[str, Any], spec: TensorSpec) -> NDArray[Any]:
    if spec.name not in rows:
        raise TensorMismatchError(f"input '{spec.name}' is missing")
    given = rows[spec.name]
    if isinstance(given, np.ndarray):
        if takes_files(spec) and given.ndim == 3:
            return rows_from_files([ppm(given)])
        array = given
    else:
        array = _array(given, spec)
    return array[None] if array.ndim == len(spec.shape) - 1 else array


def _array(given: Any, spec: TensorSpec) -> NDArray[Any]:
    """Return numbers as an array of the input's dtype, since JSON and CSV have none."""
    try:
        return np.asarray(given, np.dtype(spec.dtype))
    except (ValueError, TypeError, OverflowError) as error:
        raise TensorMismatchError(f"input '{spec.name}': {error}") from error


def ppm(picture: NDArray[Any]) -> bytes:
    """Return a picture (h, w, 3) of 8 bits as a file that every bundle reads.

    Raises:
        TensorMismatchError: it is no such picture.
    """
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
        raise TensorMismatchError(f"a picture of {picture.dtype} {picture.shape}")
    height, width, _ = picture.shape
    return f"P6\n{width} {height}\n255\n".encode() + picture.tobytes()
