# SPDX-License-Identifier: Apache-2.0
"""Decide whether what a device is told to run is to be believed.

Pure: bytes, keys and a time in; a document out, or a refusal. The signature is
checked over the payload as it was signed, before anything of it is parsed. This
module fetches no keys (`fleet.trust` does) and remembers no revision.
"""

import hashlib
import re
from collections.abc import Iterator
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from insight_edge.documents.codec import decode_json, decode_wire
from insight_edge.documents.desired import Desired, Directors, Envelope, Signature
from insight_edge.documents.topics import check_name
from insight_edge.errors import (
    DocumentError,
    ExpiredError,
    LimitExceededError,
    RevokedError,
    RolledBackError,
    TamperedError,
    UnsignedError,
    WrongDeviceError,
)

MAX_SIGNATURES: Final = 8
"""One, and a second while a key is rotated; more would only cost time to check."""

_KEY_BYTES, _SIGNATURE_BYTES = 32, 64
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_HEX = re.compile(r"[0-9a-f]*")


def accept(
    envelope_bytes: bytes,
    directors: Directors,
    *,
    tenant: str,
    device: str,
    revision: int,
    now_s: float,
    last: Desired | None = None,
) -> Desired:
    """Return what this device should run, if it is to be believed.

    Args:
        envelope_bytes: payload of the topic `desired`.
        directors: whose signatures count, out of verified metadata.
        tenant: of this device.
        device: its name.
        revision: that was accepted last, 0 before the first.
        now_s: seconds since the epoch, never before what the device has seen (`Trust.now_s`).
        last: what was accepted at `revision`, where it is at hand; nothing else may have the
            same revision.

    Raises:
        UnsignedError: there is no signature.
        RevokedError: no key that signed it counts, or counts any more.
        TamperedError: the payload is not what was signed.
        WrongDeviceError: it is for another device or tenant.
        ExpiredError: it was signed too long ago.
        RolledBackError: its revision is lower than the last, or the last's with other contents.
        LimitExceededError: more bytes or signatures than are ever read.
        DocumentError: it is malformed.
    """
    envelope = decode_wire(Envelope, envelope_bytes)
    payload = envelope.payload.encode()
    _refuse_signatures(payload, envelope.signatures, directors)
    desired = decode_json(Desired, payload)
    _refuse_malformed(desired)
    if (desired.tenant, desired.device) != (tenant, device):
        raise WrongDeviceError(
            f"what was desired is for {desired.tenant}/{desired.device}, this is {tenant}/{device}"
        )
    _refuse_older(desired, revision, last)
    if desired.expires_s < now_s:
        raise ExpiredError(
            f"revision {desired.revision} expired {now_s - desired.expires_s:.0f} s ago",
            hint="the cloud signs it again when the device is seen; check the device's clock",
        )
    return desired


def _refuse_signatures(
    payload: bytes, signatures: tuple[Signature, ...], directors: Directors
) -> None:
    """Refuse unless one signature by a key that counts is right; the others do not matter."""
    if not signatures:
        raise UnsignedError("what was desired is not signed")
    if len(signatures) > MAX_SIGNATURES:
        raise LimitExceededError(f"{len(signatures)} signatures, at most {MAX_SIGNATURES} are read")
    keys = dict(_counting(directors))
    known = [signature for signature in signatures if signature.key in keys]
    if not known:
        raise RevokedError(
            "what was desired is signed by no director that counts",
            hint="the key was rotated, or the message does not come from your cloud",
        )
    if not any(_is_right(keys[signature.key], signature, payload) for signature in known):
        raise TamperedError("what was desired is not what its director signed")


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


def _refuse_malformed(desired: Desired) -> None:
    for name, assignment in desired.deployments.items():
        check_name("deployment", name)
        if _DIGEST.fullmatch(assignment.bundle) is None:
            raise DocumentError(f"deployment '{name}': {assignment.bundle[:80]!r} is not a digest")
        if not 0.0 <= assignment.share <= 1.0:
            raise DocumentError(f"deployment '{name}': a share of {assignment.share}")


def _refuse_older(desired: Desired, revision: int, last: Desired | None) -> None:
    if desired.revision < revision:
        raise RolledBackError(f"revision {desired.revision} is older than {revision}")
    if last is not None and desired.revision == last.revision and desired != last:
        raise RolledBackError(f"revision {desired.revision} was accepted with other contents")
