# SPDX-License-Identifier: Apache-2.0
"""What a subject is run alone for, once its rounds are over: to keep its speed, and for energy."""

import time

from insight_edge.bench.energy.meter import metered
from insight_edge.bench.energy.sources import energy_sources
from insight_edge.bench.interleave import Block
from insight_edge.bench.measure import block_iterations
from insight_edge.bench.measurement import Alone
from insight_edge.bench.noise import noise_between, read_noise
from insight_edge.bench.subject import SubjectProcess
from insight_edge.bench.sustained import sustained_doubts, sustained_of
from insight_edge.bench.verdict import round_spread
from insight_edge.documents.measured import Sustained


def run_alone(
    subject: SubjectProcess, *, sustained_s: float | None = None, energy_s: float | None = None
) -> Alone:
    """Return what long runs of a subject show, each for as long as is asked.

    Raises:
        InferenceFailedError: the engine failed.
        MeasurementError: the child died, hung, or said what it should not.
    """
    sustained = None if sustained_s is None else _sustained(subject, sustained_s)
    doubts = () if sustained_s is None else sustained_doubts(sustained)
    if energy_s is None:
        return Alone(sustained=sustained, doubts=doubts)
    sources, absent = energy_sources()
    size, rows = block_iterations(subject.loaded.call_s), subject.loaded.rows
    found = metered(lambda: len(subject.block(size)) * rows, sources, energy_s) if sources else ()
    told = tuple(f"{one.name}: {one.reason}" for one in absent)
    return Alone(sustained=sustained, doubts=doubts, energy=found, energy_absent=told)


def _sustained(subject: SubjectProcess, duration_s: float) -> Sustained | None:
    size, blocks = block_iterations(subject.loaded.call_s), list[Block]()
    subject.usage(anew=True)
    before = read_noise()
    while time.monotonic() - before.at_s < duration_s:
        blocks.append(subject.block(size))
    felt, after = subject.usage().felt, read_noise()
    noise = noise_between(before, after, felt=felt, round_spread=round_spread(blocks))
    return sustained_of(blocks, after.at_s - before.at_s, noise)
