# SPDX-License-Identifier: Apache-2.0
"""Decide whether something was signed by a director that counts.

Pure: bytes and keys in; the payload out, or a refusal. The signature is checked over
the payload as it was signed, and nothing of that is parsed here. This module fetches
no keys (`fleet.trust.repository` does).
"""

import hashlib
import re
from collections.abc import Iterator
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from insight_edge.documents.codec import decode_wire
from insight_edge.documents.desired import Directors, Envelope, Signature
from insight_edge.errors import (
    LimitExceededError,
    RevokedError,
    TamperedError,
    UnsignedError,
    WrongDeviceError,
)

MAX_SIGNATURES: Final = 8
"""One, and a second while a key is rotated; more would only cost time to check."""

_KEY_BYTES, _SIGNATURE_BYTES = 32, 64
_HEX = re.compile(r"[0-9a-f]*")


def signed_payload(envelope_bytes: bytes, directors: Directors, *, what: str) -> bytes:
    """Return what is in an envelope, if one signature by a key that counts is right.

    Args:
        envelope_bytes: payload of a topic.
        directors: whose signatures count, out of verified metadata.
        what: it is, for people.

    Raises:
        UnsignedError: there is no signature.
        RevokedError: no key that signed it counts, or counts any more.
        TamperedError: the payload is not what was signed.
        LimitExceededError: more bytes or signatures than are ever read.
        DocumentError: the envelope is malformed.
    """
    envelope = decode_wire(Envelope, envelope_bytes)
    payload = envelope.payload.encode()
    _refuse_signatures(payload, envelope.signatures, directors, what)
    return payload


def refuse_others(found: tuple[str, str], mine: tuple[str, str], *, what: str) -> None:
    """Refuse what is for another device.

    Args:
        found: tenant and device that it names.
        mine: tenant and device that this is.
        what: it is, for people.

    Raises:
        WrongDeviceError: they differ.
    """
    if found != mine:
        raise WrongDeviceError(f"{what} is for {'/'.join(found)}, this is {'/'.join(mine)}")


def _refuse_signatures(
    payload: bytes, signatures: tuple[Signature, ...], directors: Directors, what: str
) -> None:
    """Refuse unless one signature by a key that counts is right; the others do not matter."""
    if not signatures:
        raise UnsignedError(f"{what} is not signed")
    if len(signatures) > MAX_SIGNATURES:
        raise LimitExceededError(f"{len(signatures)} signatures, at most {MAX_SIGNATURES} are read")
    keys = dict(_counting(directors))
    known = [signature for signature in signatures if signature.key in keys]
    if not known:
        raise RevokedError(
            f"{what} is signed by no director that counts",
            hint="the key was rotated, or the message does not come from your cloud",
        )
    if not any(_is_right(keys[signature.key], signature, payload) for signature in known):
        raise TamperedError(f"{what} is not what its director signed")


def _counting(directors: Directors) -> Iterator[tuple[str, Ed25519PublicKey]]:
    """Yield the keys that are what their id says."""
    for key in directors.keys:
        raw = _from_hex(key.public, _KEY_BYTES)
        if raw is not None and hashlib.sha256(raw).hexdigest() == key.key:
            yield key.key, Ed25519PublicKey.from_public_bytes(raw)


def _is_right(key: Ed25519PublicKey, signature: Signature, payload: bytes) -> bool:
    value = _from_hex(signature.value, _SIGNATURE_BYTES)
    if value is None:
        return False
    try:
        key.verify(value, payload)
    except InvalidSignature:
        return False
    return True


def _from_hex(text: str, length_bytes: int) -> bytes | None:
    right = len(text) == 2 * length_bytes and _HEX.fullmatch(text)
    return bytes.fromhex(text) if right else None
