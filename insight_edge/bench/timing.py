# SPDX-License-Identifier: Apache-2.0
"""Time subjects interleaved, and say of each how fast it is and whether that may be used."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from insight_edge.bench.interleave import Block, interleave
from insight_edge.bench.measure import block_iterations
from insight_edge.bench.noise import Reading, noise_between, read_noise
from insight_edge.bench.subject import SubjectProcess
from insight_edge.bench.verdict import (
    MIN_ITERATIONS,
    Taken,
    measurement_from_blocks,
    round_spread,
)
from insight_edge.documents.evidence import Measurement

REGION = "one inference of the engine's session, without pre- and post-processing"


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """How subjects are timed.

    Attributes:
        rounds: in each of which every subject is timed once.
        iterations: timed inferences of each subject in all; None for rounds of a fixed duration.
        least: of them where the duration is fixed; with fewer in all a measurement is INVALID.
        threads: of the engine, as the subjects were started.
        bound: the machine is not of the profile's class, so latencies are bounds.
        percents: percentiles that were asked for; the usual ones, where supported, for none.
        seed: of the order within rounds.
    """

    rounds: int
    iterations: int | None = None
    least: int = MIN_ITERATIONS
    threads: int
    bound: bool = False
    percents: tuple[float, ...] = ()
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Timed:
    """The rounds of one subject, latencies in ns, and what they say.

    Attributes:
        packages: versions of the environment that it ran in.
    """

    blocks: tuple[Block, ...]
    measurement: Measurement
    packages: Mapping[str, str]


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
    blocks = interleave(
        {str(index): (one, _iterations(one, scheme)) for index, one in enumerate(subjects)},
        rounds=scheme.rounds,
        seed=scheme.seed,
        tell=tell,
    )
    readings = before, read_noise()
    return tuple(
        Timed(
            blocks=tuple(own),
            measurement=_measurement(subject, own, readings, scheme),
            packages=subject.loaded.packages,
        )
        for subject, own in zip(subjects, blocks.values(), strict=True)
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
        starts: start a subject each; who is started first changes from launch to launch.
        scheme: how they are timed in each launch.
        launches: how often.
        tell: called with the number of launches done.

    Raises:
        InsightEdgeError: as `SubjectProcess` and `time_subjects`.
    """
    found = []
    for index in range(launches):
        turn = 1 if index % 2 else -1
        with ExitStack() as running:
            subjects = [running.enter_context(start()) for start in starts[::turn]][::turn]
            found.append(time_subjects(subjects, replace(scheme, seed=scheme.seed + index)))
        tell(index + 1)
    return tuple(found)


def _iterations(subject: SubjectProcess, scheme: Scheme) -> int:
    if scheme.iterations is None:
        return block_iterations(subject.loaded.call_s, -(-scheme.least // scheme.rounds))
    return -(-scheme.iterations // scheme.rounds)


def _measurement(
    subject: SubjectProcess,
    blocks: Sequence[Block],
    readings: tuple[Reading, Reading],
    scheme: Scheme,
) -> Measurement:
    usage = subject.usage()
    noise = noise_between(
        *readings,
        involuntary_switches=usage.switches,
        round_spread=round_spread(blocks),
        clock_drop=usage.clock_drop,
    )
    taken = Taken(
        region=REGION,
        threads=scheme.threads,
        load_ms=subject.loaded.load_ms,
        first_ms=subject.loaded.first_ms,
        peak_rss_bytes=usage.peak_rss_bytes,
        noise=noise,
        warm_up=subject.loaded.warm_up,
        bound=scheme.bound,
        percents=scheme.percents,
    )
    return measurement_from_blocks(blocks, taken)
