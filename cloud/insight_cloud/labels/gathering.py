# SPDX-License-Identifier: Apache-2.0
"""Make tasks of samples that have arrived, inside a transaction of the service's.

What is wrong with a sample becomes a refused task with the reason, so that nobody is
asked about it and nothing tries again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from insight_cloud.accounts.audit import note
from insight_cloud.labels.rules import TaskState, rank, task_id
from insight_cloud.labels.sample import check_inputs, read_sample
from insight_cloud.labels.tables import TaskRow
from insight_cloud.platform.blobs import Blobs
from insight_cloud.platform.errors import NotFoundError
from insight_cloud.telemetry.classes import Class, predicted_class
from insight_cloud.telemetry.samples import Sample
from insight_edge.documents.codec import decode_json
from insight_edge.documents.manifest import Manifest
from insight_edge.errors import DocumentError

PROGRAM = "labels"
"""Who makes tasks, as the audit trail names it."""

MAX_MANIFESTS = 64
"""Remembered."""

MAX_FAULT = 300


@dataclass(frozen=True, kw_only=True)
class Looked:
    """A sample that was opened.

    Attributes:
        fault: why nobody can be asked about it.
    """

    sample: Sample
    manifest: Manifest
    fault: str | None


class Opening:
    """Opens samples and the manifests they belong to; one thread."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._manifests: dict[str, Manifest] = {}

    def manifest(self, bundle: str) -> Manifest | None:
        """Return the manifest of a bundle; None while it cannot be read.

        Raises:
            StorageError: the blob store cannot be read.
        """
        found = self._manifests.get(bundle)
        if found is None:
            try:
                found = decode_json(Manifest, self._blobs.get(bundle))
            except (DocumentError, NotFoundError):
                return None
            while len(self._manifests) >= MAX_MANIFESTS:
                del self._manifests[next(iter(self._manifests))]
            self._manifests[bundle] = found
        return found

    def look(self, sample: Sample, manifest: Manifest) -> Looked:
        """Return a sample with what is wrong with it.

        Raises:
            StorageError: the blob store cannot be read.
        """
        fault = None
        try:
            check_inputs(read_sample(self._blobs.get(sample.digest)), manifest.io.inputs)
        except (DocumentError, NotFoundError) as error:
            fault = _line(f"{type(error).__name__}: {error}")
        return Looked(sample=sample, manifest=manifest, fault=fault)


def unseen(session: Session, tenant: str, samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples that there is no task about."""
    ids = {task_id(sample.device, sample.digest): sample for sample in samples}
    query = select(TaskRow.id).where(TaskRow.tenant == tenant, TaskRow.id.in_(ids))
    seen = set(session.scalars(query))
    return [sample for name, sample in ids.items() if name not in seen]


def add(session: Session, tenant: str, looked: Sequence[Looked], now: datetime) -> int:
    """Add a task about each sample that there is none about, and return how many."""
    new = {one.digest for one in unseen(session, tenant, [one.sample for one in looked])}
    rows = [_row(tenant, one, now) for one in looked if one.sample.digest in new]
    session.add_all(rows)
    for model in sorted({row.model for row in rows}):
        made = sum(row.model == model for row in rows)
        refused = sum(row.model == model and row.fault is not None for row in rows)
        note(
            session,
            by=PROGRAM,
            action="label.gather",
            subject=model,
            now=now,
            detail=f"{made} tasks, {refused} of them refused",
            tenant=tenant,
        )
    return len(rows)


def _row(tenant: str, looked: Looked, now: datetime) -> TaskRow:
    sample, model = looked.sample, looked.manifest.model
    place, score = rank(sample.reason, sample.score)
    index, name = _predicted(sample.outputs)
    refused = looked.fault is not None
    return TaskRow(
        tenant=tenant,
        id=task_id(sample.device, sample.digest),
        device=sample.device,
        deployment=sample.deployment,
        sample=sample.digest,
        result=sample.result,
        bundle=sample.bundle,
        model=model.name,
        version=model.version,
        classes=list(model.classes),
        reason=sample.reason,
        score=sample.score,
        rank=place,
        rank_score=score,
        predicted_index=index,
        predicted_name=name,
        at_s=sample.at_s,
        created=now,
        state=(TaskState.REFUSED if refused else TaskState.OPEN).value,
        fault=looked.fault,
        answers=0,
        people=0,
        agreed=True,
        decided_s=now.timestamp() if refused else None,
        owed=refused,
        told=False,
    )


def _predicted(outputs: str) -> Class:
    return predicted_class(msgspec.json.decode(outputs))


def _line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)[:MAX_FAULT]
