# SPDX-License-Identifier: Apache-2.0
"""Sampled predictions: a few results as plain rows, for the log that outcomes are joined to.

At most one a period and caller is kept, so a slow stream keeps every result and
a fast one a systematic sample; when nobody takes them the oldest go. Of a batch
the first row is kept. Rows leave only when they are confirmed.
"""

import itertools
import threading
import time
from collections import deque
from typing import Any

from numpy.typing import NDArray

from insight_edge.documents.host import PredictionRow
from insight_edge.runtime.result import Result

PERIOD_NS = 100_000_000
MAX_KEPT = 1024
MAX_KEY_LENGTH = 256
MAX_ROW_BYTES = 8192
"""Of one row's outputs when encoded: 256 rows fit a frame of the host protocol with room."""

_NUMBER_BYTES = 9
"""A float64 in msgpack, its tag included."""


class PredictionLog:
    """The newest sampled predictions."""

    def __init__(self) -> None:
        self._rows: deque[PredictionRow] = deque(maxlen=MAX_KEPT)
        self._lock = threading.Lock()

    @property
    def empty(self) -> bool:
        """Whether nothing is left to hand over."""
        return not self._rows

    def keep(self, result: Result) -> None:
        """Keep the first row of a result; one with an absurdly long key is left out."""
        if result.key is not None and len(result.key) > MAX_KEY_LENGTH:
            return
        row = PredictionRow(
            id=result.id,
            key=result.key,
            bundle=result.bundle,
            at_s=time.time(),
            outputs=plain_row(result.outputs),
        )
        with self._lock:
            self._rows.append(row)

    def oldest(self, limit: int) -> tuple[PredictionRow, ...]:
        """Return up to `limit` rows, which stay until they are confirmed."""
        with self._lock:
            return tuple(itertools.islice(self._rows, max(0, limit)))

    def confirm(self, rows: tuple[PredictionRow, ...]) -> None:
        """Forget rows that somebody else is now responsible for."""
        confirmed = {row.id for row in rows}
        with self._lock:
            while self._rows and self._rows[0].id in confirmed:
                self._rows.popleft()


def plain_row(outputs: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """Return first rows as flat lists; an output that does not fit any more is left out."""
    left_bytes, plain = MAX_ROW_BYTES, {}
    for name, array in outputs.items():
        first = array[:1].reshape(-1)
        # NumPy text has 4 bytes a character, UTF-8 never more.
        left_bytes -= len(name) + max(first.nbytes, _NUMBER_BYTES * first.size)
        if left_bytes >= 0:
            plain[name] = first.tolist()
    return plain
