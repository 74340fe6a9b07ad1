# SPDX-License-Identifier: Apache-2.0
"""Read messages of devices fast.

`documents.codec` keeps the fields that it does not know, which takes it ten times
as long; here they are passed over. All else that it refuses is refused here too,
but for the arrays of reports: they are read of many together (`parts`).
"""

import threading
from typing import Any, TypeVar

import msgspec
import zstandard

from insight_cloud.telemetry.heads import Head
from insight_edge.documents.codec import MAX_WIRE_BYTES, Versioned
from insight_edge.errors import DocumentError, LimitExceededError, UnsupportedVersionError

MAX_WINDOW_BYTES = 8 * 1024 * 1024
"""What RFC 8878 asks every zstd decoder to have room for."""

T = TypeVar("T", bound=Head | Versioned)


class Reader:
    """Unpacks wire payloads; threads may share it."""

    def __init__(self) -> None:
        self._zstd = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES)
        self._lock = threading.Lock()
        self._decoders: dict[type, msgspec.msgpack.Decoder[Any]] = {}

    def read(self, kind: type[T], payload: bytes) -> T:
        """Return a message as `kind`, which is a document or the head of one.

        Raises:
            LimitExceededError: it unpacks to more than the wire allows.
            UnsupportedVersionError: its format is newer than this release reads.
            DocumentError: anything else that is wrong with it.
        """
        return self.decode(kind, self.unpack(payload))

    def decode(self, kind: type[T], unpacked: bytes) -> T:
        """Return the msgpack in a payload as `kind`; raises as `read`."""
        decoder = self._decoders.get(kind)
        if decoder is None:
            decoder = self._decoders[kind] = msgspec.msgpack.Decoder(kind)
        try:
            found: T = decoder.decode(unpacked)
        except (msgspec.MsgspecError, RecursionError, ValueError) as error:
            raise DocumentError(str(error)) from error
        if found.format > 1:
            raise UnsupportedVersionError(f"format {found.format} is newer than 1")
        return found

    def unpack(self, payload: bytes) -> bytes:
        """Return the msgpack in a payload.

        Raises:
            LimitExceededError: it unpacks to more than the wire allows.
            DocumentError: it is not one zstd frame.
        """
        try:
            stated = zstandard.get_frame_parameters(payload).content_size
            if stated not in {zstandard.CONTENTSIZE_UNKNOWN, zstandard.CONTENTSIZE_ERROR}:
                # zstd would make room for whatever the frame says.
                _refuse_length(stated)
            with self._lock:  # zstd's state is one
                return self._zstd.decompress(
                    payload, max_output_size=MAX_WIRE_BYTES, allow_extra_data=False
                )
        except zstandard.ZstdError as error:
            raise DocumentError(f"not zstd: {error}") from error


def _refuse_length(length_bytes: int) -> None:
    if length_bytes > MAX_WIRE_BYTES:
        raise LimitExceededError(f"{length_bytes} bytes, at most {MAX_WIRE_BYTES} are read")
