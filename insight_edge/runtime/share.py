# SPDX-License-Identifier: Apache-2.0
"""Which calls a challenger answers: by their key, and always the same. Pure.

A key falls on a point between 0 and 1 that its bytes and a salt alone decide, so it meets the
same arm in every process, on every device and in every release; and a share that grows takes
keys in without letting one go.
"""

from hashlib import blake2b

_POINTS = 2**64


class Share:
    """A share of all keys.

    Args:
        part: of the keys, 0 to 1.
        salt: another one draws another part; an experiment that must not meet the callers of
            the last one takes its own.

    Raises:
        ValueError: the part is not between 0 and 1.
    """

    def __init__(self, part: float, salt: str) -> None:
        if not 0.0 <= part <= 1.0:
            raise ValueError(f"a share of {part}: from 0 to 1")
        self.part = part
        self._first_outside = int(part * _POINTS)
        self._salted = blake2b(salt.encode(errors="surrogatepass") + b"\0", digest_size=8)

    def __contains__(self, key: str) -> bool:
        """Return whether calls with this key are the challenger's."""
        point = self._salted.copy()
        point.update(key.encode(errors="surrogatepass"))
        return int.from_bytes(point.digest()) < self._first_outside
