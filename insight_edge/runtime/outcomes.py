# SPDX-License-Identifier: Apache-2.0
"""Outcomes: what the application learned later to be true of a result, until the agent has it.

They are kept in memory, as sampled predictions are: `kill -9` loses those of the last
seconds. When nobody takes them and the log is full, no more are taken; whoever brings
one is told so at once, and the agent gets the count. Nothing is joined here.
"""

import itertools
import math
import threading
import time
from collections import deque
from typing import Any

from insight_edge.documents.host import OutcomeRow
from insight_edge.runtime.logs import logger

MAX_KEPT = 4096
MAX_TEXT = 256
"""Characters of an id, a key or a label: 256 rows fit a frame of the host protocol with room."""


class OutcomeLog:
    """The outcomes of one process that nobody else is responsible for yet.

    Args:
        wanted: there is a fleet that they are for; without one none is kept.
    """

    def __init__(self, *, wanted: bool = False) -> None:
        self._wanted = wanted
        self._said = False
        self._rows: deque[OutcomeRow] = deque()
        self._dropped = 0
        self._lock = threading.Lock()

    @property
    def dropped(self) -> int:
        """How many were not taken since the process began."""
        return self._dropped

    @property
    def empty(self) -> bool:
        """Whether nothing is left to hand over."""
        return not self._rows

    def keep(self, row: OutcomeRow) -> bool:
        """Keep an outcome and return whether that was done."""
        with self._lock:
            if not self._wanted:
                self._say_unwanted()
                return False
            if len(self._rows) >= MAX_KEPT:
                self._dropped += 1
                return False
            self._rows.append(row)
            return True

    def oldest(self, limit: int) -> tuple[OutcomeRow, ...]:
        """Return up to `limit` rows, which stay until they are confirmed."""
        with self._lock:
            return tuple(itertools.islice(self._rows, max(0, limit)))

    def confirm(self, rows: tuple[OutcomeRow, ...]) -> None:
        """Forget rows that somebody else is now responsible for.

        Two who take at once are handed the same rows, and the second finds them gone.
        """
        with self._lock:
            for row in rows:
                if self._rows and self._rows[0] is row:
                    self._rows.popleft()

    def _say_unwanted(self) -> None:
        if not self._said:
            self._said = True
            logger(__name__).warning("outcomes are not kept: this runtime belongs to no fleet")


def outcome_row(
    label: Any,
    *,
    id: str | None,  # noqa: A002 - as on the wire
    key: str | None,
    at_s: float | None,
) -> OutcomeRow:
    """Return an outcome as it goes to the agent.

    Args:
        label: class index, class name or number; NumPy's own numbers too.
        id: of the result.
        key: that the caller passed to `infer`; exactly one of the two.
        at_s: when it was known, seconds since the epoch; now for None.

    Raises:
        ValueError: both or none of `id` and `key`, a text too long, or a number that is none.
        TypeError: the label is neither text nor a number.
    """
    if (id is None) == (key is None):
        raise ValueError("an outcome names its result by id or by key, and by one of them")
    plain = label.item() if hasattr(label, "item") else label
    if isinstance(plain, bool) or not isinstance(plain, int | float | str):
        raise TypeError(f"a label is text or a number, not {type(label).__name__}")
    at_s = time.time() if at_s is None else float(at_s)
    numbers = [at_s, plain] if isinstance(plain, float) else [at_s]
    if not all(map(math.isfinite, numbers)) or (isinstance(plain, int) and abs(plain) >= 2**53):
        raise ValueError("the label or time of an outcome is no number")
    if any(len(text) > MAX_TEXT for text in (id, key, plain) if isinstance(text, str)):
        raise ValueError(f"an id, key or label of an outcome has at most {MAX_TEXT} characters")
    return OutcomeRow(id=id, key=key, label=plain, at_s=at_s)
