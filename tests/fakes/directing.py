# SPDX-License-Identifier: Apache-2.0
"""Directors' keys, one that counts and one that does not, and what they sign."""

import hashlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from insight_edge.documents.codec import Versioned, encode_json, encode_wire
from insight_edge.documents.desired import DirectorKey, Directors, Envelope, Signature

KEY, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2))


def director(key: Ed25519PrivateKey) -> DirectorKey:
    raw = key.public_key().public_bytes_raw()
    return DirectorKey(key=hashlib.sha256(raw).hexdigest(), public=raw.hex())


DIRECTORS = Directors(keys=(director(KEY),))


def signature(payload: bytes, key: Ed25519PrivateKey = KEY) -> Signature:
    return Signature(key=director(key).key, value=key.sign(payload).hex())


def signed(document: Versioned, *keys: Ed25519PrivateKey) -> bytes:
    payload = encode_json(document)
    signatures = tuple(signature(payload, key) for key in keys or (KEY,))
    return encode_wire(Envelope(payload=payload.decode(), signatures=signatures))
