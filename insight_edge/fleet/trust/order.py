# SPDX-License-Identifier: Apache-2.0
"""Decide whether a job that a device is told to do is to be believed, and within bounds.

Pure: bytes, keys and a time in; a document out, or a refusal. Nothing is parsed before
its signature was checked (`fleet.trust.signed`). Whether and when the job is done is
decided by `fleet.jobs`, which also knows what was done already.
"""

import math
from typing import Final

from insight_edge.documents.codec import check_digest, decode_json
from insight_edge.documents.desired import Directors
from insight_edge.documents.job import Bench, Job, scenario_fault
from insight_edge.documents.topics import check_name
from insight_edge.errors import DocumentError, ExpiredError, LimitExceededError
from insight_edge.fleet.trust.signed import refuse_others, signed_payload

MAX_LIMIT_S: Final = 4 * 3600.0
MAX_ROUNDS: Final = 1000
MAX_ITERATIONS: Final = 1_000_000
MAX_THREADS: Final = 256
MAX_VARIANTS: Final = 32
MAX_NAME: Final = 100
"""Characters of a variant's name."""

MAX_SEED: Final = 2**63 - 1

_WHAT = "the job"


def accept_job(
    envelope_bytes: bytes, directors: Directors, *, tenant: str, device: str, now_s: float
) -> Job:
    """Return a job that this device may do, if it is to be believed.

    Args:
        envelope_bytes: payload of the topic `job`.
        directors: whose signatures count, out of verified metadata.
        tenant: of this device.
        device: its name.
        now_s: seconds since the epoch, never before what the device has seen (`Trust.now_s`).

    Raises:
        UnsignedError, RevokedError, TamperedError, WrongDeviceError: as `believe_job`.
        ExpiredError: it may not be begun any more; one that is withdrawn never expires.
        LimitExceededError: it asks for more than any job may.
        DocumentError: it is malformed, or what should run.
    """
    job = believe_job(envelope_bytes, directors, tenant=tenant, device=device)
    refuse_late(job, now_s)
    refuse_unbounded(job)
    return job


def believe_job(envelope_bytes: bytes, directors: Directors, *, tenant: str, device: str) -> Job:
    """Return what a director tells this device to do once, whether that can be done or not.

    Raises:
        UnsignedError: there is no signature.
        RevokedError: no key that signed it counts, or counts any more.
        TamperedError: the payload is not what was signed.
        WrongDeviceError: it is for another device or tenant.
        LimitExceededError: more bytes or signatures than are ever read.
        DocumentError: it is malformed, has no name for an id, or is what should run.
    """
    job = decode_json(Job, signed_payload(envelope_bytes, directors, what=_WHAT))
    if "revision" in job.unknown:
        raise DocumentError("the job has a revision, as what is desired has (rule J1)")
    refuse_others((job.tenant, job.device), (tenant, device), what=_WHAT)
    check_name("job", job.id)
    return job


def refuse_late(job: Job, now_s: float) -> None:
    """Refuse what may not be begun any more.

    Raises:
        ExpiredError: it may not, and is not withdrawn either.
    """
    if job.expires_s < now_s and not job.withdrawn:
        raise ExpiredError(
            f"job {job.id} expired {now_s - job.expires_s:.0f} s ago",
            hint="check the device's clock, or ask again under another id",
        )


def refuse_unbounded(job: Job) -> None:
    """Refuse what asks for more than any job may; one that is withdrawn asks for nothing.

    Raises:
        LimitExceededError: it does.
        DocumentError: what it names is no digest, no name, or no scenario.
    """
    bench = job.bench
    if job.withdrawn:
        return
    check_digest(f"job {job.id}", bench.bundle)
    if not (math.isfinite(job.limit_s) and 0 < job.limit_s <= MAX_LIMIT_S):
        raise LimitExceededError(
            f"job {job.id}: limit_s is {job.limit_s:g}, over 0 to {MAX_LIMIT_S:g} may be"
        )
    for name, count, most in _counts(bench):
        if count is not None and not 1 <= count <= most:
            raise LimitExceededError(f"job {job.id}: {name} is {count}, 1 to {most} may be")
    if not 0 <= bench.seed <= MAX_SEED:
        raise LimitExceededError(f"job {job.id}: a seed of {bench.seed}, 0 to {MAX_SEED} may be")
    if bench.duration_s is not None and not 0 < bench.duration_s <= MAX_LIMIT_S:
        raise LimitExceededError(
            f"job {job.id}: duration_s is {bench.duration_s:g}, over 0 to {MAX_LIMIT_S:g} may be"
        )
    fault = scenario_fault(bench)
    if fault is not None:
        raise DocumentError(f"job {job.id}: {fault}")
    _refuse_variants(job.id, bench.variants)


def _counts(bench: Bench) -> tuple[tuple[str, int | None, int], ...]:
    return (
        ("rounds", bench.rounds, MAX_ROUNDS),
        ("iterations", bench.iterations, MAX_ITERATIONS),
        ("threads", bench.threads, MAX_THREADS),
    )


def _refuse_variants(job: str, variants: tuple[str, ...]) -> None:
    if len(variants) > MAX_VARIANTS:
        raise LimitExceededError(f"job {job}: {len(variants)} variants, at most {MAX_VARIANTS}")
    if len(set(variants)) < len(variants):
        raise DocumentError(f"job {job}: a variant is named twice")
    for name in variants:
        if not (0 < len(name) <= MAX_NAME and name.isprintable()):
            raise DocumentError(f"job {job}: {name[:MAX_NAME]!r} is no name of a variant")
