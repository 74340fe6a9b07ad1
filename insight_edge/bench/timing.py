# SPDX-License-Identifier: Apache-2.0
"""Time subjects interleaved, and say of each how fast it is and whether that may be used."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
from msgspec.structs import replace as replace_fields
from numpy.typing import NDArray

from insight_edge.bench.alone import run_alone
from insight_edge.bench.interleave import Block, interleave
from insight_edge.bench.measure import block_iterations
from insight_edge.bench.measurement import Taken, answered_blocks, measurement_from_blocks
from insight_edge.bench.noise import Reading, noise_between, read_noise
from insight_edge.bench.scenarios.in_turn import serve_in_turn
from insight_edge.bench.scenarios.load import load_of
from insight_edge.bench.scenarios.scenario import SINGLE_STREAM, Scenario
from insight_edge.bench.subject import SubjectProcess
from insight_edge.bench.verdict import MIN_ITERATIONS, round_spread
from insight_edge.documents.evidence import Measurement
from insight_edge.documents.measured import Load

USUAL_S = 10.0
"""Of a scenario with a rate: half a second a round, in which a queue settles."""


@dataclass(frozen=True, kw_only=True)
class _Rounds:
    """What was found of one subject: latencies in ns by round, `inf` for no answer."""

    latencies: Sequence[Block] | Sequence[NDArray[np.float64]]
    load: Load | None = None


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """How subjects are timed.

    Attributes:
        scenario: how a subject is asked.
        rounds: in each of which every subject is timed once.
        iterations: timed queries of each subject in all, at least; None for no such number.
        duration_s: that queries of each subject are timed for in all, at least; None for no such
            time. Without either it is 30 ms a round, or `USUAL_S` at a rate.
        least: queries of each in all, without either; with fewer a measurement is INVALID.
        sustained_s: how long each is then run alone, to see whether it keeps its speed.
        energy_s: how long each is run alone for its energy to be read.
        threads: of the engine, as the subjects were started.
        bound: the machine is not of the profile's class, so latencies are bounds.
        percents: percentiles that were asked for; the usual ones, where supported, for none.
        seed: of the order within rounds.
    """

    scenario: Scenario = SINGLE_STREAM
    rounds: int
    iterations: int | None = None
    duration_s: float | None = None
    least: int = MIN_ITERATIONS
    sustained_s: float | None = None
    energy_s: float | None = None
    threads: int
    bound: bool = False
    percents: tuple[float, ...] = ()
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Timed:
    """The rounds of one subject, latencies in ns, and what they say.

    Attributes:
        packages: versions of the environment that it ran in.
        at_s: seconds since the epoch, when it ended.
    """

    blocks: tuple[Block, ...]
    measurement: Measurement
    packages: Mapping[str, str]
    at_s: float


def time_subjects(
    subjects: Sequence[SubjectProcess],
    scheme: Scheme,
    tell: Callable[[int], None] = lambda _: None,
) -> tuple[Timed, ...]:
    """Return the rounds of every subject and their measurement, in order.

    Args:
        subjects: running.
        scheme: how.
        tell: called with the number of rounds done.

    Raises:
        InferenceFailedError: an engine failed.
        MeasurementError: a child died, hung, or said what it should not.
    """
    before = read_noise()
    found = _in_turn({str(index): one for index, one in enumerate(subjects)}, scheme, tell)
    readings = before, read_noise()
    return tuple(
        Timed(
            blocks=answered_blocks(own.latencies),
            measurement=_measurement(subject, own, readings, scheme),
            packages=subject.loaded.packages,
            at_s=time.time(),
        )
        for subject, own in zip(subjects, found.values(), strict=True)
    )


def time_launches(
    starts: Sequence[Callable[[], SubjectProcess]],
    scheme: Scheme,
    *,
    launches: int,
    tell: Callable[[int], None] = lambda _: None,
) -> tuple[tuple[Timed, ...], ...]:
    """Return what `time_subjects` found for each of some launches of all subjects.

    Args:
        starts: start a subject each; in what order is drawn by lot for each launch.
        scheme: how they are timed in each launch.
        launches: how often.
        tell: called with the number of launches done.

    Raises:
        InsightEdgeError: as `SubjectProcess` and `time_subjects`.
    """
    lots, found = random.Random(scheme.seed), []  # noqa: S311 (an order, not a secret)
    for index in range(launches):
        order = lots.sample(range(len(starts)), len(starts))
        own = replace(scheme, seed=lots.getrandbits(64))
        with ExitStack() as running:
            started = {at: running.enter_context(starts[at]()) for at in order}
            found.append(time_subjects([started[at] for at in range(len(starts))], own))
        tell(index + 1)
    return tuple(found)


def _in_turn(
    subjects: Mapping[str, SubjectProcess], scheme: Scheme, tell: Callable[[int], None]
) -> dict[str, _Rounds]:
    scenario, rounds, seed = scheme.scenario, scheme.rounds, scheme.seed
    if scenario.rate_per_s is None:
        sizes = {name: (one, _iterations(one, scheme)) for name, one in subjects.items()}
        blocks = interleave(sizes, rounds=rounds, seed=seed, tell=tell)
        return {name: _Rounds(latencies=own) for name, own in blocks.items()}
    round_s = _round_s(scenario.rate_per_s, scheme)
    served = serve_in_turn(subjects, scenario, rounds=rounds, round_s=round_s, seed=seed, tell=tell)
    return {
        name: _Rounds(latencies=[one.latencies_ns() for one in own], load=load_of(scenario, own))
        for name, own in served.items()
    }


def _round_s(rate_per_s: float, scheme: Scheme) -> float:
    """Return how long a round at a rate is: as long as either lasts that is asked for."""
    if scheme.iterations is None and scheme.duration_s is None:
        return max(USUAL_S, scheme.least / rate_per_s) / scheme.rounds
    return max(scheme.duration_s or 0.0, (scheme.iterations or 0) / rate_per_s) / scheme.rounds


def _iterations(subject: SubjectProcess, scheme: Scheme) -> int:
    call_s = subject.loaded.call_s
    if scheme.iterations is None and scheme.duration_s is None:
        return block_iterations(call_s, -(-scheme.least // scheme.rounds))
    asked = scheme.iterations or 0
    lasting = 0 if scheme.duration_s is None else ceil(scheme.duration_s / max(call_s, 1e-9))
    return -(-max(asked, lasting, 1) // scheme.rounds)


def _measurement(
    subject: SubjectProcess,
    rounds: _Rounds,
    readings: tuple[Reading, Reading],
    scheme: Scheme,
) -> Measurement:
    usage, loaded = subject.usage(), subject.loaded
    alone = run_alone(subject, sustained_s=scheme.sustained_s, energy_s=scheme.energy_s)
    noise = noise_between(
        *readings,
        felt=usage.felt,
        round_spread=round_spread(answered_blocks(rounds.latencies)),
    )
    taken = Taken(
        scenario=replace_fields(scheme.scenario, rows=loaded.rows),
        threads=scheme.threads,
        load_ms=loaded.load_ms,
        first_ms=loaded.first_ms,
        peak_rss_bytes=usage.peak_rss_bytes,
        engine_bytes=max(0, usage.peak_rss_bytes - loaded.before_bytes),
        noise=noise,
        warm_up=loaded.warm_up,
        load=rounds.load,
        alone=alone,
        bound=scheme.bound,
        percents=scheme.percents,
    )
    return measurement_from_blocks(rounds.latencies, taken)
