# SPDX-License-Identifier: Apache-2.0
"""The last word on a job as it is sent: short enough for the wire, whatever came of it. Pure."""

from msgspec.structs import replace

from insight_edge.documents.codec import encode_wire
from insight_edge.documents.job import JobResult
from insight_edge.documents.result import BenchResult
from insight_edge.errors import LimitExceededError
from insight_edge.fleet.jobs.outcome import Done
from insight_edge.fleet.jobs.rules import Over


def last_word(device: str, name: str, outcome: Done | Over, *, at_s: float) -> bytes:
    """Return a `JobResult` as it is sent.

    Args:
        device: name of this one.
        name: id of the job.
        outcome: what came of it.
        at_s: seconds since the epoch.
    """
    if isinstance(outcome, Done):
        results, left_out = outcome.results, outcome.left_out
        done = JobResult(
            device=device, id=name, status="done", results=results, left_out=left_out, at_s=at_s
        )
        try:
            return fitting(done)
        except LimitExceededError as error:
            outcome = Over("failed", error)
    return encode_wire(
        JobResult(
            device=device,
            id=name,
            status=outcome.status,
            kind=type(outcome.error).__name__,
            reason=str(outcome.error),
            at_s=at_s,
        )
    )


def fitting(result: JobResult) -> bytes:
    """Return a result as it is sent, with as many of its samples as have room.

    Raises:
        LimitExceededError: it is too long even without samples.
    """
    while True:
        try:
            return encode_wire(result)
        except LimitExceededError:
            if not any(one.samples_ms for one in result.results):
                raise
            result = replace(result, results=tuple(map(_thinned, result.results)))


def _thinned(one: BenchResult) -> BenchResult:
    """Return it with every other sample of each round, and none where one was left of each."""
    if all(len(samples) <= 1 for samples in one.samples_ms):
        return replace(one, samples_ms=())
    return replace(one, samples_ms=tuple(samples[::2] for samples in one.samples_ms))
