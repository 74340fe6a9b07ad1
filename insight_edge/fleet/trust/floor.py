# SPDX-License-Identifier: Apache-2.0
"""A time that has certainly passed, for a device whose clock may be wrong by years.

It is the signing time of the newest timestamp metadata that was accepted, and
counts on while the agent runs. The device's own clock adds nothing to it: one
that jumped ten years ahead and back would otherwise block installing for ten
years. It is forgotten with the key that vouched for it, as versions are, so a
stolen key does no harm that a rotation does not undo.
"""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from insight_edge.bundle.durable import replace_file
from insight_edge.documents.codec import Versioned, decode_json, encode_json
from insight_edge.errors import DocumentError

MAX_BYTES: Final = 64 * 1024
PLACE: Final = Path("tuf") / "seen.json"
"""Of the file in an agent's state directory."""

_LATEST_S: Final = 253_402_300_799.0
"""The end of the year 9999, beyond which there are no dates."""


class Seen(Versioned, frozen=True, kw_only=True):
    """What is kept over restarts.

    Attributes:
        passed_s: seconds since the epoch.
        keys: ids of the keys that may sign a timestamp, sorted, when it was accepted.
    """

    passed_s: float = 0.0
    keys: tuple[str, ...] = ()


class Floor:
    """The floor, kept in one file.

    Args:
        path: of the file; one that cannot be read counts as nothing seen.
        monotonic: seconds that only grow, and at the pace of time.
    """

    def __init__(self, path: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._monotonic = monotonic
        self._seen = _read(path)
        self._since = monotonic()

    @property
    def passed_s(self) -> float:
        """Seconds since the epoch that have certainly passed."""
        return self._seen.passed_s + (self._monotonic() - self._since)

    @property
    def keys(self) -> tuple[str, ...]:
        """Ids of the keys that vouched for it."""
        return self._seen.keys

    def now_s(self, clock_s: float) -> float:
        """Return what the clock says, or the floor where the clock stands before it."""
        believed = max(clock_s, self.passed_s) if math.isfinite(clock_s) else self.passed_s
        return min(max(believed, 0.0), _LATEST_S)

    def raise_to(self, signed_s: float, keys: tuple[str, ...]) -> None:
        """Remember a signing time that was accepted, and who vouched for it.

        It never lowers the floor, except that what other keys vouched for does not count.

        Raises:
            StorageError: it cannot be written.
        """
        passed_s = self.passed_s if keys == self.keys else 0.0
        self._keep(Seen(passed_s=max(passed_s, signed_s), keys=keys))

    def keep(self) -> None:
        """Remember how long the agent has run.

        Raises:
            StorageError: it cannot be written.
        """
        self._keep(Seen(passed_s=self.passed_s, keys=self.keys))

    def forget(self) -> None:
        """Begin at nothing again.

        Raises:
            StorageError: it cannot be written.
        """
        self._keep(Seen())

    def _keep(self, seen: Seen) -> None:
        replace_file(self._path, encode_json(seen))
        self._seen, self._since = seen, self._monotonic()


def passed_s(state: Path) -> float:
    """Return a time that has certainly passed, as the agent of a directory wrote it down last."""
    return _read(state / PLACE).passed_s


def _read(path: Path) -> Seen:
    try:
        with path.open("rb") as file:
            seen = decode_json(Seen, file.read(MAX_BYTES))
    except (OSError, DocumentError):
        return Seen()
    return seen if 0.0 <= seen.passed_s <= _LATEST_S else Seen()
