# SPDX-License-Identifier: Apache-2.0
"""Have `insight-edge bench` time a bundle that is here, and take up what it leaves."""

import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from insight_edge.bundle.durable import storing
from insight_edge.documents.job import Bench, Job
from insight_edge.documents.result import BenchResult
from insight_edge.errors import MeasurementError, StoppedError
from insight_edge.fleet.jobs.child import Ended, run_child
from insight_edge.fleet.jobs.results import read_results
from insight_edge.fleet.transfer.incoming import incoming_dir

ATTEMPT: Final = "attempt"
RESULTS: Final = "results.jsonl"
SAMPLES: Final = 3000
"""Latencies kept of each variant."""

_LEAVES_RESULTS: Final = frozenset({0, 3})
"""Exit codes; 3 says that a measurement is not valid, and its result says why."""


def time_bundle(
    job: Job,
    variants: Sequence[str],
    place: Path,
    *,
    device: str,
    program: Sequence[str],
    stop: Callable[[], bool],
) -> tuple[BenchResult, ...]:
    """Return the results of variants, in order.

    Args:
        job: says how they are timed; its bundle has been put together below `place`.
        variants: by name, all of which can be timed.
        place: directory of jobs.
        device: name of this one.
        program: `insight-edge`.
        stop: asked several times a second whether to give up.

    Raises:
        StoppedError: `stop` said so, or something else did in good order.
        MeasurementError: the program failed, was killed, took too long, or left something else
            than was asked.
        DocumentError: what it left is no results.
        StorageError: there is no room for it.
    """
    place = place.absolute()  # the program runs in a directory of its own
    attempt = place / ATTEMPT
    with storing(attempt):
        shutil.rmtree(attempt, ignore_errors=True)
        (attempt / "tmp").mkdir(parents=True)
    bundle = incoming_dir(place, job.bench.bundle)
    command = [*program, *_words(job, variants, bundle, attempt / RESULTS, device)]
    variables = {"TMPDIR": str(attempt / "tmp")}  # what a killed one leaves is swept up with it
    with storing(attempt):
        ended = run_child(command, attempt, variables=variables, limit_s=job.limit_s, stop=stop)
    _refuse_failed(ended, job.limit_s)
    return read_results(
        attempt / RESULTS, bundle=job.bench.bundle, variants=variants, device=device
    )


def _words(
    job: Job, variants: Sequence[str], bundle: Path, results: Path, device: str
) -> Iterator[str]:
    bench = job.bench
    yield from ("bench", str(bundle))
    yield from (f"--variant={name}" for name in variants)
    yield from (f"--rounds={bench.rounds}", f"--seed={bench.seed}", f"--samples={SAMPLES}")
    yield f"--scenario={bench.scenario}"
    for flag, value in _asked(bench).items():
        if value is not None:
            yield f"--{flag}={value}"
    yield from ("--no-strict", f"--output={results}", f"--device={device}")


def _asked(bench: Bench) -> dict[str, float | None]:
    """Return figures by the flag of `insight-edge bench` that takes them."""
    return {
        "threads": bench.threads,
        "iterations": bench.iterations,
        "streams": bench.streams,
        "rate": bench.rate_per_s,
        "period": bench.period_ms,
        "deadline": bench.deadline_ms,
        "duration": bench.duration_s,
    }


def _refuse_failed(ended: Ended, limit_s: float) -> None:
    if ended.late:
        raise MeasurementError(f"it was ended after {limit_s:g} s")
    if ended.code == -signal.SIGTERM:  # as all processes are when a machine is shut down
        raise StoppedError("something on this machine told it to end")
    if ended.code < 0:
        raise MeasurementError(f"it was killed by signal {-ended.code}: too little memory, perhaps")
    if ended.code not in _LEAVES_RESULTS:
        said = ended.error or "it did not say why"
        raise MeasurementError(f"insight-edge bench failed, exit code {ended.code}: {said}"[:400])
