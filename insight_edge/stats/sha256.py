# SPDX-License-Identifier: Apache-2.0
"""SHA-256 without the library that Python takes it from, where there is little to take it of.

`hashlib` loads OpenSSL: 3.6 MB resident and some milliseconds, which ten times the speed
is worth from about a megabyte on. Python has an implementation of its own beside it.
"""

import sys
from importlib import import_module
from typing import Final, Protocol

FEW_BYTES: Final = 1024 * 1024
"""With more, OpenSSL is loaded: without, the digest would take longer than that."""

_BUILT_IN: Final = ("_sha256", "_sha2")
"""Until Python 3.11, and since 3.12. A build of Python may leave it out."""


class Hash(Protocol):
    """What `hashlib` gives."""

    def update(self, data: bytes, /) -> None:
        """Take more bytes."""
        ...

    def hexdigest(self) -> str:
        """Return 64 hexadecimal digits."""
        ...


def sha256(length_bytes: int) -> Hash:
    """Return the SHA-256 of nothing yet, to be given about so many bytes."""
    if length_bytes <= FEW_BYTES and "_hashlib" not in sys.modules:
        for name in _BUILT_IN:
            try:
                found: Hash = import_module(name).sha256()
            except ImportError:
                continue
            return found
    import hashlib

    return hashlib.sha256()


def hexdigest(data: bytes) -> str:
    """Return the SHA-256 of bytes as 64 hexadecimal digits."""
    state = sha256(len(data))
    state.update(data)
    return state.hexdigest()
