# SPDX-License-Identifier: Apache-2.0
"""Weights that an ONNX file keeps in files beside it, put into the model itself.

Only a regular file in the model's own folder, or below it, is read: no link is
followed and no path leaves the folder, so that a model cannot take in what its
author could not see. A source model is one file from here on.
"""

import math
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path, PurePosixPath

from onnx import ModelProto, TensorProto

from insight_edge.compile.graph.check import MAX_MODEL_BYTES
from insight_edge.compile.graph.tensor_data import raw_bytes, tensors_of
from insight_edge.errors import ModelError

HINT = "keep the weights beside the model, or export with external_data=False"


def inline_external(model: ModelProto, folder: Path) -> bool:
    """Put every weight that lies in another file into the model; return whether there was one.

    Args:
        model: changed in place.
        folder: of the model's file.

    Raises:
        ModelError: a weight is not there, not as long as the model says, too large, or its path
            leads elsewhere; the tensor is named.
    """
    outside = [(o, t) for o, t in tensors_of(model) if t.data_location == TensorProto.EXTERNAL]
    lengths = [_length_bytes(owner, tensor) for owner, tensor in outside]
    for (owner, _), total in zip(outside, accumulate(lengths), strict=True):
        if total > MAX_MODEL_BYTES:
            raise ModelError(f"tensor '{owner}' makes it larger than {MAX_MODEL_BYTES} bytes")
    for (owner, tensor), length_bytes in zip(outside, lengths, strict=True):
        tensor.raw_data = _read(owner, tensor, length_bytes, folder)
        tensor.ClearField("external_data")
        tensor.ClearField("data_location")
    return bool(outside)


def _length_bytes(owner: str, tensor: TensorProto) -> int:
    if any(size < 0 for size in tensor.dims):
        raise ModelError(f"tensor '{owner}' has a negative dimension")
    return raw_bytes(tensor.data_type, math.prod(tensor.dims))


def _read(owner: str, tensor: TensorProto, length_bytes: int, folder: Path) -> bytes:
    said = {entry.key: entry.value for entry in tensor.external_data}
    offset = _number(owner, said.get("offset", "0"))
    if "length" in said and _number(owner, said["length"]) != length_bytes:
        raise ModelError(
            f"tensor '{owner}' needs {length_bytes} bytes, its place in another file "
            f"is {said['length']}"
        )
    with _opened(owner, said.get("location", ""), folder) as descriptor:
        if os.fstat(descriptor).st_size < offset + length_bytes:
            raise ModelError(f"tensor '{owner}': {said['location']} is too short", hint=HINT)
        parts = bytearray()
        while len(parts) < length_bytes:
            part = os.pread(descriptor, length_bytes - len(parts), offset + len(parts))
            if not part:
                raise ModelError(f"tensor '{owner}': {said['location']} is too short", hint=HINT)
            parts += part
    return bytes(parts)


def _number(owner: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise ModelError(f"tensor '{owner}' has an odd place in another file: '{text[:40]}'")
    return int(text)


@contextmanager
def _opened(owner: str, location: str, folder: Path) -> Iterator[int]:
    """Open a regular file below a folder, following no link on the way."""
    place = PurePosixPath(location)
    if not place.parts or place.is_absolute() or ".." in place.parts or "\0" in location:
        raise ModelError(
            f"tensor '{owner}' is stored in '{location[:80]}', which is not beside the model",
            hint=HINT,
        )
    opened = [os.open(folder, os.O_RDONLY | os.O_DIRECTORY)]
    try:
        for part in place.parts[:-1]:
            opened.append(_open(part, os.O_DIRECTORY, opened[-1]))
        opened.append(_open(place.name, os.O_NONBLOCK, opened[-1]))
        if not stat.S_ISREG(os.fstat(opened[-1]).st_mode):
            raise ModelError(f"tensor '{owner}': {location} is not a plain file", hint=HINT)
        yield opened[-1]
    except OSError as error:
        raise ModelError(
            f"tensor '{owner}' is stored in '{location[:80]}', which cannot be opened "
            f"without following links: {(error.strerror or str(error)).lower()}",
            hint=HINT,
        ) from error
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _open(name: str, flags: int, within: int) -> int:
    return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | flags, dir_fd=within)
