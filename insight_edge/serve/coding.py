# SPDX-License-Identifier: Apache-2.0
"""Bodies compressed with gzip or deflate, and what a client says of them; bounded."""

import gzip
import zlib

from insight_edge.documents.open_inference import MAX_JSON_BYTES
from insight_edge.serve.head import Head, plain_length
from insight_edge.serve.refusal import RefusedError

JSON_LENGTH = "inference-header-content-length"
LEVEL = 1
"""It goes no further than this machine."""

_WINDOWS = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


def decoded(head: Head, body: bytes, most_bytes: int) -> bytes:
    """Return a body as it was before it was compressed.

    Raises:
        RefusedError: by something else, damaged, or longer than `most_bytes`.
    """
    coding = head.fields.get("content-encoding", "identity").lower()
    if coding == "identity":
        return body
    if coding not in _WINDOWS:
        raise RefusedError(415, "Content-Encoding is gzip or deflate, or not there")
    unpacking = zlib.decompressobj(_WINDOWS[coding])
    try:
        plain = unpacking.decompress(body, most_bytes + 1)
    except zlib.error as error:
        raise RefusedError(400, f"the body is not {coding}") from error
    if len(plain) > most_bytes:
        raise RefusedError(413, f"the body is longer than {most_bytes} bytes, decompressed")
    if not unpacking.eof or unpacking.unused_data:
        raise RefusedError(400, f"the body is not one whole {coding} stream")
    return plain


def encoded(head: Head, body: bytes) -> tuple[bytes, str | None]:
    """Return a body and its coding: compressed only for a client that takes nothing else."""
    asked = head.fields.get("accept-encoding", "").strip().lower()
    if asked == "gzip":
        return gzip.compress(body, LEVEL, mtime=0), asked
    if asked == "deflate":
        return zlib.compress(body, LEVEL), asked
    return body, None


def json_length(head: Head) -> int | None:
    """Return how long the JSON before binary tensors is, None where it is all there is.

    Raises:
        RefusedError: it is not a length.
    """
    told = head.fields.get(JSON_LENGTH)
    return None if told is None else min(plain_length(told, JSON_LENGTH), MAX_JSON_BYTES + 1)
