# SPDX-License-Identifier: Apache-2.0
"""The director's signature over what a device should run or do, and the keys that give it. Pure.

What devices are told is decided above (`rollouts`, `jobs`); they check it with `fleet.director`.
"""

import hashlib

from securesystemslib.signer import CryptoSigner

from insight_cloud.releases.keys import public_hex
from insight_edge.documents.codec import encode_json
from insight_edge.documents.desired import Desired, DirectorKey, Directors, Envelope, Signature
from insight_edge.documents.job import Job

Told = Desired | Job
"""What a director signs."""


def sign(told: Told, signer: CryptoSigner) -> Envelope:
    """Return what a device is told, as it was signed.

    Raises:
        DocumentError: it cannot be written as canonical JSON.
    """
    payload = encode_json(told)
    signature = Signature(key=_key(signer), value=signer.sign(payload).signature)
    return Envelope(payload=payload.decode(), signatures=(signature,))


def directors_from(*signers: CryptoSigner) -> Directors:
    """Return the list of directors that has these keys."""
    keys = (DirectorKey(key=_key(signer), public=public_hex(signer)) for signer in signers)
    return Directors(keys=tuple(keys))


def _key(signer: CryptoSigner) -> str:
    return hashlib.sha256(bytes.fromhex(public_hex(signer))).hexdigest()
