# SPDX-License-Identifier: Apache-2.0
"""What came of jobs, as devices say it: read, compared with what was asked, kept once."""

from dataclasses import replace
from datetime import datetime

import msgspec
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from insight_cloud.devices.timeline import one_line
from insight_cloud.jobs.job import Job, Member, MemberState
from insight_cloud.jobs.storing import change_member, job_from_row, member_of, row_of, settle
from insight_cloud.jobs.tables import MeasurementRow
from insight_cloud.platform.errors import ConflictError
from insight_edge.documents.codec import decode_wire, encode_json
from insight_edge.documents.job import JobResult
from insight_edge.documents.result import BenchResult
from insight_edge.documents.topics import Topic
from insight_edge.errors import DocumentError, LimitExceededError, WrongDeviceError

MAX_VARIANTS = 64
"""Of one result: timed, or left out."""


def read(topic: Topic, payload: bytes) -> tuple[JobResult, tuple[str, ...]]:
    """Return what came of a job, and each measurement as canonical JSON.

    Raises:
        DocumentError: it is malformed, or a number in it is none.
        WrongDeviceError: it speaks of another device than its topic.
    """
    result = decode_wire(JobResult, payload)
    if result.device != topic.device:
        raise WrongDeviceError(f"'{topic.device}' speaks of '{result.device[:63]}'")
    if max(len(result.results), len(result.left_out)) > MAX_VARIANTS:
        raise LimitExceededError(f"results: more than {MAX_VARIANTS} variants")
    if result.status == "done" and not result.results:
        raise DocumentError("results: it is done and there are none")
    for one in result.results:
        _check_figures(one)
    return result, tuple(encode_json(one).decode() for one in result.results)


def keep(
    session: Session,
    tenant: str,
    result: JobResult,
    documents: tuple[str, ...],
    digest: str,
    now: datetime,
) -> None:
    """Keep the last word of a device, and what it measured; the same word twice is one.

    Raises:
        NotFoundError: there is no such job.
        WrongDeviceError: the device was not asked, or measured for another.
        DocumentError: what was measured is not what was asked for.
        ConflictError: its last word was another.
    """
    row = row_of(session, tenant, result.id)
    member = member_of(session, tenant, result.id, result.device)
    if member is None:
        raise WrongDeviceError(f"'{result.device}' was not asked to do job {row.id}")
    if member.heard == digest:
        return
    if member.heard is not None:
        raise ConflictError(f"'{result.device}' has said already what came of job {row.id}")
    job = job_from_row(row)
    for one in result.results:
        _check_asked(job, result.device, one)
    if len({one.variant for one in result.results}) < len(result.results):
        raise DocumentError("results: a variant comes twice")
    _add(session, row.tenant, row.id, result, documents, now)
    change_member(session, row, _settled(member, result, digest, now))
    settle(session, row, now)


def _settled(member: Member, result: JobResult, digest: str, now: datetime) -> Member:
    why = f"{result.kind}: {result.reason}" if result.kind else result.reason
    return replace(
        member,
        state=MemberState(result.status),
        phase="",
        why=one_line(why),
        ended=now,
        heard=digest,
        left_out={one_line(name): one_line(said) for name, said in result.left_out.items()},
    )


def _check_figures(result: BenchResult) -> None:
    """Refuse what no clock can have shown; that numbers are finite is seen when it is written."""
    measured = result.measurement
    p50 = measured.p50_ms
    if not 0 <= p50.low <= p50.value <= p50.high:
        raise DocumentError(f"{result.variant[:63]}: a median outside its interval")
    least = min(measured.load_ms, measured.first_ms, measured.mean_ms, measured.peak_rss_bytes)
    if least < 0 or measured.iterations < 1 or measured.rounds < 1:
        raise DocumentError(f"{result.variant[:63]}: a figure below what there can be")


def _check_asked(job: Job, device: str, result: BenchResult) -> None:
    if result.device != device:
        raise WrongDeviceError(f"'{device}' sends what '{result.device[:63]}' measured")
    if (result.bundle, result.profile) != (job.bundle, job.profile):
        raise DocumentError(f"results: of another bundle than job {job.id} is about")
    if (result.model.name, result.model.version) != (job.model, job.version):
        raise DocumentError(f"results: of another model than {job.label}")
    if job.artifacts.get(result.variant) != result.artifact:
        raise DocumentError(f"results: the bundle has no such variant '{result.variant[:63]}'")
    if job.targets[result.variant] != result.target.token:
        raise DocumentError(f"results: of another target than {job.targets[result.variant]}")
    if result.measurement.scenario != job.terms.scenario:
        raise DocumentError(f"results: of another scenario than {job.terms.scenario}")


def _add(
    session: Session,
    tenant: str,
    job: str,
    result: JobResult,
    documents: tuple[str, ...],
    now: datetime,
) -> None:
    newest = session.scalar(select(func.max(MeasurementRow.number)).filter_by(tenant=tenant)) or 0
    pairs = zip(result.results, documents, strict=True)
    for number, (one, document) in enumerate(pairs, newest + 1):
        session.add(
            MeasurementRow(
                tenant=tenant,
                number=number,
                job=job,
                device=one.device,
                model=one.model.name,
                version=one.model.version,
                profile=one.profile,
                bundle=one.bundle,
                artifact=one.artifact,
                variant=one.variant,
                target=one.target.token,
                at=now,
                document=document,
                figures=encode_json(msgspec.structs.replace(one, samples_ms=())).decode(),
            )
        )
