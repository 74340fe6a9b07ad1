# SPDX-License-Identifier: Apache-2.0
"""Addresses that allow one upload: what, how much and until when is signed into them.

Whoever holds the address may put those bytes there, nothing else, and needs no
other secret. A store that signs addresses itself (S3) does not need this.
"""

import hashlib
import hmac
import math
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from insight_cloud.platform.errors import ForbiddenError
from insight_edge.bundle.durable import sibling, storing, write_file

SECRET_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class Upload:
    """One upload that is allowed.

    Attributes:
        digest: of the bytes.
        device: that offered them.
        expires_s: seconds since the epoch.
    """

    tenant: str
    device: str
    digest: str
    length_bytes: int
    expires_s: int


class Presigner:
    """Signs and checks uploads with one secret, kept in a file that its user alone can read.

    Raises:
        StorageError: the secret cannot be read or made.
    """

    def __init__(self, path: Path) -> None:
        with storing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                _make_secret(path)
            self._secret = path.read_bytes()

    def query(self, upload: Upload) -> str:
        """Return the query of an address that allows this upload."""
        fields = {name: getattr(upload, name) for name in upload.__dataclass_fields__}
        return urlencode(fields | {"signature": self._sign(upload)})

    def check(self, upload: Upload, signature: str, now_s: float) -> None:
        """Refuse an upload that was not allowed, or not until now.

        Raises:
            ForbiddenError: either.
        """
        if not hmac.compare_digest(self._sign(upload).encode(), signature.encode()):
            raise ForbiddenError("this upload was not allowed")
        if math.floor(now_s) > upload.expires_s:
            raise ForbiddenError("this upload was allowed until some time ago")

    def _sign(self, upload: Upload) -> str:
        fields = [upload.tenant, upload.device, upload.digest]
        numbers = [str(upload.length_bytes), str(upload.expires_s)]
        text = "\n".join([*fields, *numbers])
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()


def _make_secret(path: Path) -> None:
    """Write a new secret whole, unless another process was faster."""
    staged = sibling(path)
    try:
        write_file(staged, [secrets.token_bytes(SECRET_BYTES)], mode=0o600)
        with suppress(FileExistsError):
            path.hardlink_to(staged)
    finally:
        staged.unlink(missing_ok=True)
