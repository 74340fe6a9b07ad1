# SPDX-License-Identifier: Apache-2.0
"""Passwords as argon2id hashes; looking at one takes a tenth of a second on purpose.

It takes 64 MiB too, so no more than a few are looked at at once.
"""

import secrets
import threading
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

AT_ONCE = 2

_hasher = PasswordHasher()
_turn = threading.BoundedSemaphore(AT_ONCE)


def hash_password(password: str) -> str:
    """Return what a password is recognised by."""
    with _turn:
        return _hasher.hash(password)


def is_password(kept: str | None, password: str) -> bool:
    """Return whether a password is the one that was kept.

    Where there is none to compare with, as much is done as if there were.
    """
    try:
        with _turn:
            _hasher.verify(_nobody() if kept is None else kept, password)
    except (VerificationError, InvalidHashError):
        return False
    return kept is not None


@cache
def _nobody() -> str:
    return _hasher.hash(secrets.token_urlsafe(32))
