# SPDX-License-Identifier: Apache-2.0
"""Take figures, and note on what machine and in how much noise they were taken."""

import platform
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from benchmarks import agent, drift, ingest, overhead, swap, targets
from benchmarks.figure import Figure
from insight_edge.bench.machine import machine_facts
from insight_edge.bench.noise import noise_between, read_noise
from insight_edge.documents.facts import Facts
from insight_edge.runtime.loading import engine_facts

Tell = Callable[[str], None]

BENCHMARKS: Mapping[str, Callable[[Path, Tell], Iterator[Figure]]] = {
    agent.NAME: agent.take,
    drift.NAME: drift.take,
    ingest.NAME: ingest.take,
    overhead.NAME: overhead.take,
    swap.NAME: swap.take,
    targets.NAME: targets.take,
}


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """Figures taken in one run of one process, and what they were taken on."""

    date: str
    python: str
    facts: Facts
    steal_share: float
    load_1min: float
    figures: tuple[Figure, ...]


def take(names: Sequence[str], tell: Tell) -> Session:
    """Take the figures of the named benchmarks in order.

    Raises:
        InsightEdgeError: one of them could not be taken; the message says why.
    """
    before = read_noise()
    figures: list[Figure] = []
    for name in names:
        with tempfile.TemporaryDirectory(prefix="insight-edge-figures-") as folder:
            figures += BENCHMARKS[name](Path(folder), tell)
    noise = noise_between(before, read_noise(), involuntary_switches=0, round_spread=0.0)
    return Session(
        date=datetime.now(UTC).date().isoformat(),
        python=platform.python_version(),
        facts=machine_facts(engine_facts()),
        steal_share=noise.steal_share,
        load_1min=noise.load_1min,
        figures=tuple(figures),
    )
