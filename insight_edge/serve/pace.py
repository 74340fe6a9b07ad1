# SPDX-License-Identifier: Apache-2.0
"""Whether a call is shorter than handing it to a thread and back, by those before it: pure.

Handing over takes some 50 µs, more than a small model. A call that is expected to be short is
made on the event loop itself; one that then is not holds up the others once, and is remembered.
"""

from collections import deque
from typing import Final

LOOKED_AT: Final = 16
SHORT_NS: Final = 100_000
SMALL_BYTES: Final = 64 * 1024


class Pace:
    """What the last calls of one bundle took."""

    def __init__(self) -> None:
        self._bundle = ""
        self._last: deque[tuple[int, int]] = deque(maxlen=LOOKED_AT)
        self._short, self._largest = False, 0

    def is_short(self, bundle: str, length_bytes: int) -> bool:
        """Return whether a call with a body of this length will probably be short."""
        return self._short and bundle == self._bundle and length_bytes <= self._largest

    def add(self, bundle: str, length_bytes: int, inferring_ns: int) -> None:
        """Learn from a call; a bundle that is new has everything to show again."""
        if bundle != self._bundle:
            self._bundle = bundle
            self._last.clear()
        self._last.append((inferring_ns, length_bytes))
        lasted, lengths = zip(*self._last, strict=True)
        # The median: a scheduler's hiccup says nothing of the model.
        usual_ns = sorted(lasted)[len(lasted) // 2]
        self._short = len(self._last) == LOOKED_AT and usual_ns < SHORT_NS
        self._largest = min(SMALL_BYTES, max(lengths))
