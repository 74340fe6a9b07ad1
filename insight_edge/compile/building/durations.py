# SPDX-License-Identifier: Apache-2.0
"""How long builds took, kept in the cache, so that a person can be told how long one will take.

Nothing depends on it: a file that is damaged, or written by two at once, is as
good as none.
"""

import contextlib
import statistics
from collections.abc import Mapping
from pathlib import Path

from insight_edge.bundle.durable import replace_file
from insight_edge.documents.codec import Document, Versioned, decode_json, encode_json
from insight_edge.errors import DocumentError, StorageError

FILE = Path("shared") / "durations.json"
"""Within the cache."""

KEPT = 16
"""Builds of a target that are remembered, the last ones."""

ALIKE = 3
"""Builds that say how long the next one takes: those of models nearest in size."""


class Duration(Document, frozen=True, kw_only=True):
    """How long one build took."""

    model_bytes: int
    build_s: float


class Durations(Versioned, frozen=True, kw_only=True):
    """Builds by token of the target, the last ones last."""

    builds: dict[str, tuple[Duration, ...]] = {}  # noqa: RUF012 (msgspec copies it)

    def usual_s(self, token: str, model_bytes: int) -> float | None:
        """Return how long such a build takes, None where none was made before."""
        known = self.builds.get(token, ())
        nearest = sorted(known, key=lambda one: abs(one.model_bytes - model_bytes))[:ALIKE]
        return statistics.median(one.build_s for one in nearest) if nearest else None

    def with_builds(self, added: Mapping[str, Duration]) -> "Durations":
        """Return these and one more of each target."""
        changed = {t: (*self.builds.get(t, ()), one)[-KEPT:] for t, one in added.items()}
        return Durations(builds=self.builds | changed)


def read_durations(cache: Path) -> Durations:
    """Return what a cache remembers; nothing where it cannot be read."""
    try:
        return decode_json(Durations, (cache / FILE).read_bytes())
    except (OSError, DocumentError):
        return Durations()


def add_durations(cache: Path, added: Mapping[str, Duration]) -> None:
    """Remember builds in a cache, where that can be written."""
    if not added:
        return
    with contextlib.suppress(OSError, StorageError):
        (cache / FILE).parent.mkdir(parents=True, exist_ok=True)
        replace_file(cache / FILE, encode_json(read_durations(cache).with_builds(added)))
