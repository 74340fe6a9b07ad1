# SPDX-License-Identifier: Apache-2.0
"""Take figures, and note on what machine and in how much noise they were taken."""

import platform
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from benchmarks import (
    agent,
    batching,
    cache,
    caching,
    check,
    child,
    cold_start,
    compare,
    drift,
    field,
    footprint,
    fusing,
    ingest,
    overhead,
    prediction,
    published,
    selection,
    serving,
    statistics,
    swap,
    targets,
)
from benchmarks.figure import Figure
from insight_edge.bench.felt import Felt
from insight_edge.bench.machine import machine_facts
from insight_edge.bench.noise import noise_between, read_noise
from insight_edge.documents.facts import Facts
from insight_edge.runtime.loading import engine_facts

Tell = Callable[[str], None]

Take = Callable[[Path, Tell], Iterator[Figure]]


def _of_the_compiler(place: Path, tell: Tell) -> Iterator[Figure]:
    # It imports PyTorch, which is to be in no process that times for another figure.
    from benchmarks.compile.taking import take

    return take(place, tell)


BENCHMARKS: Mapping[str, Take] = {
    agent.NAME: agent.take,
    batching.NAME: batching.take,
    cache.NAME: cache.take,
    check.NAME: check.take,
    child.NAME: child.take,
    compare.NAME: compare.take,
    compare.QUICK: compare.take_few,
    cold_start.NAME: cold_start.take,
    "compile": _of_the_compiler,
    drift.NAME: drift.take,
    field.NAME: field.take,
    footprint.NAME: footprint.take,
    caching.NAME: caching.take,
    fusing.NAME: fusing.take,
    ingest.NAME: ingest.take,
    overhead.NAME: overhead.take,
    prediction.NAME: prediction.take,
    published.NAME: published.take,
    selection.NAME: selection.take,
    serving.NAME: serving.take,
    statistics.NAME: statistics.take,
    swap.NAME: swap.take,
    targets.NAME: targets.take,
}

LONG = {
    "compile", child.NAME, compare.NAME, field.NAME, prediction.NAME, selection.NAME, serving.NAME,
}  # fmt: skip
SHORT = tuple(name for name in BENCHMARKS if name not in LONG)
"""What is taken unless somebody asks for something: the others need peers, or take long."""


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """Figures taken in one run of one process, and what they were taken on."""

    date: str
    python: str
    facts: Facts
    steal_share: float
    load_1min: float
    figures: tuple[Figure, ...]


def take(names: Sequence[str], tell: Tell, known: Mapping[str, Take] = BENCHMARKS) -> Session:
    """Take the figures of the named benchmarks, among those known, in order.

    Raises:
        InsightEdgeError: one of them could not be taken; the message says why.
    """
    before = read_noise()
    figures: list[Figure] = []
    for name in names:
        with tempfile.TemporaryDirectory(prefix="insight-edge-figures-") as folder:
            figures += known[name](Path(folder), tell)
    noise = noise_between(before, read_noise(), felt=Felt(), round_spread=0.0)
    return Session(
        date=datetime.now(UTC).date().isoformat(),
        python=platform.python_version(),
        facts=machine_facts(engine_facts()),
        steal_share=noise.steal_share,
        load_1min=noise.load_1min,
        figures=tuple(figures),
    )
