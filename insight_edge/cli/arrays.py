# SPDX-License-Identifier: Apache-2.0
"""Named arrays in .npz files, read and written for verbs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from insight_edge.bundle.durable import replace_file
from insight_edge.bundle.npz import arrays_from_npz, npz_from_arrays
from insight_edge.errors import ConfigurationError, DocumentError

Arrays = dict[str, NDArray[Any]]

MAX_BYTES = 8 * 2**30
MAX_FILE_BYTES = 256 * 2**20
MAX_ARRAYS = 1024
"""Beyond these a file is not read."""


def read_arrays(path: Path, names: Sequence[str]) -> Arrays:
    """Return the arrays of these names; others in the file are left alone.

    Raises:
        ConfigurationError: no such file, not an .npz of plain arrays, or a name is missing.
    """
    try:
        arrays = arrays_from_npz(path.read_bytes(), max_bytes=MAX_BYTES, max_arrays=MAX_ARRAYS)
    except OSError as error:
        raise ConfigurationError(f"{path}: {(error.strerror or str(error)).lower()}") from error
    except DocumentError as error:
        raise ConfigurationError(
            f"{path}: {error}", hint="write it with numpy.savez(path, x=rows)"
        ) from error
    for name in names:
        if name not in arrays:
            raise ConfigurationError(
                f"{path}: input '{name}' is missing",
                hint=f"it holds {', '.join(arrays) or 'nothing'}",
            )
    return {name: arrays[name] for name in names}


def read_file(path: Path) -> bytes:
    """Return the bytes of a file that is a row.

    Raises:
        ConfigurationError: no such file, or more than `MAX_FILE_BYTES`.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"{path}: {(error.strerror or str(error)).lower()}") from error
    if len(data) > MAX_FILE_BYTES:
        raise ConfigurationError(f"{path}: longer than {MAX_FILE_BYTES} bytes")
    return data


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays to an .npz, whole or not at all.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    replace_file(path, npz_from_arrays(arrays))
