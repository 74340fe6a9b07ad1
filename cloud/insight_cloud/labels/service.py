# SPDX-License-Identifier: Apache-2.0
"""The use cases of labels, one transaction each.

A label is committed here first and told to telemetry as an outcome afterwards, by
`settle`: what a crash leaves untold is told by the next one, and telling twice is
telling once.
"""

from datetime import datetime
from typing import Any

from numpy.typing import NDArray
from sqlalchemy import func, select

from insight_cloud.accounts.audit import note
from insight_cloud.labels import answering, gathering, importing, looking, settling
from insight_cloud.labels.exporting import MAX_BYTES, MAX_ROWS, labelled_rows, npz_of
from insight_cloud.labels.image import is_picture, png_of
from insight_cloud.labels.importing import Imported
from insight_cloud.labels.label_studio import read_tasks, task_json
from insight_cloud.labels.rules import (
    MAX_PERSON,
    MAX_REASON,
    MAX_REVIEWS,
    Answer,
    AnswerKind,
    Counts,
    Task,
    TaskPage,
    TaskState,
    read_label,
    read_words,
)
from insight_cloud.labels.sample import read_sample
from insight_cloud.labels.tables import ReviewsRow, TaskRow
from insight_cloud.platform.blobs import Blobs
from insight_cloud.platform.database import Database
from insight_cloud.platform.errors import NotFoundError
from insight_cloud.platform.schema import TENANT
from insight_cloud.telemetry.samples import SampleState
from insight_cloud.telemetry.service import Telemetry
from insight_edge.errors import ConfigurationError, DocumentError

MAX_CONSIDERED = 2000
"""Uploaded samples that are looked through at once, the newest."""

MAX_AT_ONCE = 200
"""Samples that are opened, and decisions that are told, in one turn."""


class Labels:
    """What people are asked about inputs, and what they said; threads may share it.

    Args:
        database: where it is kept.
        telemetry: that has the samples and is told the labels.
        blobs: that hold samples and manifests.
    """

    def __init__(self, database: Database, telemetry: Telemetry, blobs: Blobs) -> None:
        self._database = database
        self._telemetry = telemetry
        self._blobs = blobs
        self._opening = gathering.Opening(blobs)

    def gather(self, now: datetime, *, tenant: str = TENANT) -> int:
        """Make a task of each sample that has arrived, and return of how many.

        One whose file is damaged, too large or not what its model takes becomes a refused task.
        One of a bundle that is not known waits.

        Raises:
            StorageError: something cannot be read or written; the next turn makes up for it.
        """
        samples = self._telemetry.samples(SampleState.UPLOADED, limit=MAX_CONSIDERED, tenant=tenant)
        with self._database.read() as session:
            new = gathering.unseen(session, tenant, samples)
        manifests = {bundle: self._opening.manifest(bundle) for bundle in {s.bundle for s in new}}
        known = [(sample, manifests[sample.bundle]) for sample in reversed(new)]
        looked = [
            self._opening.look(sample, manifest)
            for sample, manifest in [(s, m) for s, m in known if m is not None][:MAX_AT_ONCE]
        ]
        if not looked:
            return 0
        with self._database.write() as session:
            return gathering.add(session, tenant, looked, now)

    def settle(self, now: datetime) -> int:
        """Tell telemetry what was decided, and return how many decisions.

        Raises:
            StorageError: something cannot be written; the next turn makes up for it.
        """
        with self._database.read() as session:
            several = settling.owed(session, MAX_AT_ONCE)
        for one in several:
            settling.tell(self._telemetry, one, now)
            with self._database.write() as session:
                settling.mark_told(session, one)
        return len(several)

    def queue(
        self,
        model: str | None = None,
        state: TaskState = TaskState.OPEN,
        *,
        after: str | None = None,
        limit: int = 100,
        tenant: str = TENANT,
    ) -> TaskPage:
        """Return tasks in a state: open ones the most telling first, others the latest first.

        Raises:
            NotFoundError: there is no task `after`.
        """
        with self._database.read() as session:
            return looking.page(session, tenant, state, model=model, after=after, limit=limit)

    def task(self, task: str, *, tenant: str = TENANT) -> Task:
        """Return a task.

        Raises:
            NotFoundError: there is no such task.
        """
        with self._database.read() as session:
            return looking.task_from_row(looking.find(session, tenant, task))

    def answers(self, task: str, *, tenant: str = TENANT) -> tuple[Answer, ...]:
        """Return all that was said of a task, the first first.

        Raises:
            NotFoundError: there is no such task.
        """
        with self._database.read() as session:
            looking.find(session, tenant, task)
            return tuple(looking.answers(session, tenant, task))

    def next_task(
        self, by: str, model: str | None = None, *, now: datetime, tenant: str = TENANT
    ) -> Task | None:
        """Return the task that somebody is asked next; for `rules.LEASE` nobody else is.

        Asked again, they are given the same until they answer. None where nothing is left.

        Raises:
            DocumentError: `by` is no name.
        """
        person = read_words("who asks", by, MAX_PERSON)
        with self._database.write() as session:
            row = answering.give(session, tenant, person, model, now)
            return None if row is None else looking.task_from_row(row)

    def answer(
        self, task: str, label: int | str, *, by: str, now: datetime, tenant: str = TENANT
    ) -> Task:
        """Take a label, by the class's index or name, and return the task as it stands then.

        Raises:
            NotFoundError: there is no such task.
            ConflictError: it is decided, or somebody else is looking at it.
            DocumentError: the model has no such class.
        """
        return self._say(task, AnswerKind.LABEL, label, by=by, now=now, tenant=tenant)

    def skip(self, task: str, reason: str, *, by: str, now: datetime, tenant: str = TENANT) -> Task:
        """Note that somebody cannot tell; others are asked.

        Raises:
            NotFoundError, ConflictError: as `answer`.
            DocumentError: there is no reason.
        """
        return self._say(task, AnswerKind.SKIP, None, by=by, now=now, reason=reason, tenant=tenant)

    def unusable(
        self, task: str, reason: str, *, by: str, now: datetime, tenant: str = TENANT
    ) -> Task:
        """Take it that nobody can tell, which needs as many people as a label.

        Raises:
            NotFoundError, ConflictError, DocumentError: as `skip`.
        """
        kind = AnswerKind.UNUSABLE
        return self._say(task, kind, None, by=by, now=now, reason=reason, tenant=tenant)

    def correct(
        self,
        task: str,
        label: int | str | None,
        *,
        by: str,
        now: datetime,
        reason: str = "",
        tenant: str = TENANT,
    ) -> Task:
        """Decide a task again, alone; what was said before stays in its history.

        Args:
            task: its id.
            label: class index or name; None where nobody can tell, with a reason.
            by: who.
            now: when.
            reason: why; may be empty where there is a label.
            tenant: whose.

        Raises:
            NotFoundError: there is no such task.
            ConflictError: it is not decided.
            DocumentError: the model has no such class.
        """
        kind = AnswerKind.UNUSABLE if label is None else AnswerKind.LABEL
        return self._say(
            task, kind, label, by=by, now=now, reason=reason, corrects=True, tenant=tenant
        )

    def set_reviews(
        self, model: str, reviews: int, *, by: str, now: datetime, tenant: str = TENANT
    ) -> None:
        """Say how many people must agree on the inputs of a model, from now on.

        What is open is judged by it too; what was decided stays.

        Raises:
            ConfigurationError: it is not 1 to `rules.MAX_REVIEWS`.
        """
        if not 1 <= reviews <= MAX_REVIEWS:
            raise ConfigurationError(f"1 to {MAX_REVIEWS} people can be asked, not {reviews}")
        waiting = select(TaskRow).where(
            TaskRow.tenant == tenant,
            TaskRow.model == model,
            TaskRow.state == TaskState.OPEN.value,
            TaskRow.people > 0,
        )
        with self._database.write() as session:
            session.merge(ReviewsRow(tenant=tenant, model=model, reviews=reviews, changed=now))
            for row in session.scalars(waiting).all():
                answering.decide(session, row, reviews, by=by, now=now)
            note(
                session,
                by=by,
                action="label.reviews",
                subject=model,
                now=now,
                detail=f"{reviews} must agree",
                tenant=tenant,
            )

    def counts(self, model: str, *, tenant: str = TENANT) -> Counts:
        """Return how the labelling of a model stands; all zero where there is none."""
        with self._database.read() as session:
            return looking.counts(session, tenant, model)

    def models(self, *, tenant: str = TENANT) -> dict[str, int]:
        """Return the models that there are tasks about, and how many of each are open."""
        is_open = func.count().filter(TaskRow.state == TaskState.OPEN.value)
        query = select(TaskRow.model, is_open).where(TaskRow.tenant == tenant)
        with self._database.read() as session:
            grouped = query.group_by(TaskRow.model).order_by(TaskRow.model)
            return dict(session.execute(grouped).all())

    def input(self, task: str, *, tenant: str = TENANT) -> dict[str, NDArray[Any]]:
        """Return the arrays that a task is about, each of one row: (1, ...).

        Raises:
            NotFoundError: there is no such task, or its file is gone.
            DocumentError: its file is damaged, too large or not of plain arrays.
        """
        return read_sample(self._blobs.get(self.task(task, tenant=tenant).sample))

    def image(self, task: str, name: str | None = None, *, tenant: str = TENANT) -> bytes:
        """Return an input as PNG: the one of that name, or the first that is a picture.

        Raises:
            NotFoundError: there is no such task or input, its file is gone, or none is a picture.
            DocumentError: its file cannot be read, or this input is no picture.
        """
        arrays = self.input(task, tenant=tenant)
        if name is not None:
            if name not in arrays:
                raise NotFoundError(f"there is no input '{name[:80]}'")
            return png_of(arrays[name])
        for array in arrays.values():
            if is_picture(array.shape, array.dtype.kind):
                return png_of(array)
        raise NotFoundError("no input of it is a picture", hint="look at its values instead")

    def export(
        self, model: str, *, since_version: int | None = None, tenant: str = TENANT
    ) -> bytes:
        """Return the finished labels of a model as an .npz to train on, in the order of time.

        Args:
            model: its name.
            since_version: only inputs that this version or a newer one answered.
            tenant: whose.

        Returns:
            each input stacked to (n, ...); `labels` int64 (n,), an index in the classes of the
            newest version; `at_s` float64 (n,); `ids` of results (n,). At most
            `exporting.MAX_ROWS` rows and `exporting.MAX_BYTES`, those decided last.

        Raises:
            ConflictError: an input has the name of one of the other arrays.
            StorageError: the blob store cannot be read.
        """
        query = select(TaskRow).where(
            TaskRow.tenant == tenant,
            TaskRow.model == model,
            TaskRow.state == TaskState.FINISHED.value,
            TaskRow.version >= (since_version or 0),
        )
        latest = query.order_by(TaskRow.decided_s.desc(), TaskRow.id).limit(MAX_ROWS)
        with self._database.read() as session:
            tasks = [looking.task_from_row(row) for row in session.scalars(latest)]
        rows = labelled_rows(tasks, self._inputs_of, max_bytes=MAX_BYTES)
        return npz_of(rows)

    def to_label_studio(
        self,
        model: str,
        state: TaskState = TaskState.OPEN,
        *,
        after: str | None = None,
        limit: int = 100,
        tenant: str = TENANT,
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Return tasks as Label Studio imports them, and what the next page starts after.

        Raises:
            NotFoundError: there is no task `after`.
        """
        page = self.queue(model, state, after=after, limit=limit, tenant=tenant)
        with self._database.read() as session:
            said = [looking.answers(session, tenant, task.id) for task in page.tasks]
        tasks = [
            task_json(task, answers, self._picture(task))
            for task, answers in zip(page.tasks, said, strict=True)
        ]
        return tasks, page.after

    def from_label_studio(
        self, data: bytes, *, by: str, now: datetime, tenant: str = TENANT
    ) -> Imported:
        """Take what people chose in Label Studio; each task is taken or refused alone.

        What is known already changes nothing, so a file may be imported again.

        Raises:
            LimitExceededError: more than is ever read at once.
            DocumentError: no list of tasks, or `by` is no name.
        """
        person = read_words("who imports", by, MAX_PERSON)
        found = Imported()
        for given in read_tasks(data):
            with self._database.write() as session:
                found = importing.take(session, tenant, found, given, by=person, now=now)
        return found

    def _say(
        self,
        task: str,
        kind: AnswerKind,
        label: int | str | None,
        *,
        by: str,
        now: datetime,
        tenant: str,
        reason: str = "",
        corrects: bool = False,
    ) -> Task:
        person = read_words("who answers", by, MAX_PERSON)
        because = _reason(kind, reason)
        with self._database.write() as session:
            row = looking.find(session, tenant, task)
            found = None if label is None else read_label(label, row.classes)
            if corrects:
                answering.refuse_if_undecided(row)
            else:
                answering.refuse_if_taken(row, person, now)
            answering.say(
                session, row, kind, found, by=person, now=now, reason=because, corrects=corrects
            )
            return looking.task_from_row(row)

    def _inputs_of(self, task: Task) -> dict[str, NDArray[Any]]:
        return read_sample(self._blobs.get(task.sample))

    def _picture(self, task: Task) -> bytes | None:
        try:
            return self.image(task.id)
        except (DocumentError, NotFoundError):
            return None


def _reason(kind: AnswerKind, reason: str) -> str:
    if kind is AnswerKind.LABEL and not reason.strip():
        return ""
    return read_words("the reason", reason, MAX_REASON)
