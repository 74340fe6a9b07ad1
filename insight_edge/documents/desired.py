# SPDX-License-Identifier: Apache-2.0
"""What a device should run, and the envelope that says who wants it.

The payload in an envelope is signed as it is, byte for byte: nothing is parsed
before its signature was checked. This module signs and checks nothing.
"""

from typing import Literal

from insight_edge.documents.codec import Document, Versioned

Role = Literal["serve", "challenger"]


class Challenging(Document, frozen=True, kw_only=True):
    """A bundle beside the one that a deployment serves, to be compared with it.

    Attributes:
        bundle: digest of the manifest.
        cpu_share: of one processor, 0 to 1, that repeating calls may take; 0 repeats none.
        share: of calls with a key, 0 to 1, that it answers itself.
        salt: draws the keys of that share; the deployment's name where empty.
    """

    bundle: str
    cpu_share: float = 0.05
    share: float = 0.0
    salt: str = ""


class Assignment(Document, frozen=True, kw_only=True):
    """What one deployment should run.

    Attributes:
        bundle: digest of the manifest.
        share: of requests, 0 to 1, that a challenger sees.
        challenger: what is compared with it there; None ends that.
    """

    bundle: str
    role: Role = "serve"
    share: float = 1.0
    challenger: Challenging | None = None


class Desired(Versioned, frozen=True, kw_only=True):
    """What one device should run.

    Attributes:
        revision: grows with every change; a device never goes back to a lower one.
        expires_s: seconds since the epoch; later nothing new is installed, serving goes on.
        deployments: by name; a deployment that is not here is left as it is.
    """

    tenant: str
    device: str
    revision: int
    expires_s: float
    deployments: dict[str, Assignment] = {}


class Signature(Document, frozen=True, kw_only=True):
    """A signature.

    Attributes:
        key: id of the key, SHA-256 of the raw public key in hexadecimal.
        value: 128 hexadecimal digits of Ed25519.
    """

    key: str
    value: str


class Envelope(Versioned, frozen=True, kw_only=True):
    """Something signed.

    Attributes:
        payload: canonical JSON of a document, as it was signed.
    """

    payload: str
    signatures: tuple[Signature, ...] = ()


class DirectorKey(Document, frozen=True, kw_only=True):
    """A public key that may sign `Desired`.

    Attributes:
        key: its id.
        public: 64 hexadecimal digits of Ed25519.
    """

    key: str
    public: str


class Directors(Versioned, frozen=True, kw_only=True):
    """Who may say what devices should run: a target of the update repository, `directors.json`."""

    keys: tuple[DirectorKey, ...]
