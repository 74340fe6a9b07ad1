# SPDX-License-Identifier: Apache-2.0
"""Labels over HTTP: the queue of tasks, the inputs they are about, and people's answers."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal, Self, TypeAlias

import msgspec
import numpy as np
from fastapi import APIRouter, Body, Depends, Path, Query, Response
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, model_validator

from insight_cloud.accounts.door import Actor, Role, need
from insight_cloud.labels.label_studio import MAX_TASKS
from insight_cloud.labels.rules import (
    MAX_REASON,
    MAX_REVIEWS,
    Answer,
    AnswerKind,
    Counts,
    Task,
    TaskState,
)
from insight_cloud.labels.service import Labels
from insight_cloud.platform.answers import refusals

MAX_VALUES = 4096
"""Numbers of one input that are shown."""

Viewer = Annotated[Actor, Depends(need(Role.VIEWER))]
Operator = Annotated[Actor, Depends(need(Role.OPERATOR))]
TaskId = Annotated[str, Path(max_length=64, examples=["3f2a9c0de1b24c55a0f1e2d3c4b5a697"])]
ModelName = Annotated[str, Path(max_length=100, examples=["digits"])]
Model = Annotated[str | None, Query(max_length=100, description="Only tasks of this model.")]
State = Annotated[TaskState, Query(description="How far the tasks are.")]
After = Annotated[str | None, Query(max_length=64, description="`after` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=500)]


ClassIn: TypeAlias = (
    Annotated[StrictInt, Field(ge=0, lt=2**31)] | Annotated[StrictStr, Field(max_length=200)]
)


class LabelOut(BaseModel):
    """A class that a person named."""

    model_config = ConfigDict(from_attributes=True)

    index: int
    name: str | None


class TaskOut(BaseModel):
    """An input that people are asked about."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    model: str
    version: int
    bundle: str = Field(description="Digest of the bundle that answered.")
    device: str
    deployment: str
    result: str = Field(description="Id of the result that the input gave.")
    classes: list[str] = Field(description="What may be answered, by index.")
    reason: str = Field(description="Why it was kept: uncertain, out-of-range or random.")
    score: float = Field(description="Confidence, or the share of features out of range.")
    predicted_index: int | None
    predicted_name: str | None
    at_s: float = Field(description="When the device was asked, seconds since the epoch.")
    created: datetime
    state: TaskState
    fault: str | None = Field(description="Why nobody is asked.")
    leased_by: str | None
    leased_until: datetime | None
    people: int = Field(description="Who have said something that counts.")
    agreed: bool
    label: LabelOut | None


class AnswerOut(BaseModel):
    """What one person said once."""

    model_config = ConfigDict(from_attributes=True)

    number: int
    by: str
    kind: AnswerKind
    label: LabelOut | None
    reason: str
    at: datetime
    corrects: bool


class TaskDetail(TaskOut):
    """An input that people are asked about, and all that was said."""

    answers: list[AnswerOut]


class Tasks(BaseModel):
    """A page of tasks."""

    tasks: list[TaskOut]
    total: int
    after: str | None = Field(description="Where the next page begins; null on the last.")


class Next(BaseModel):
    """Which task is wanted."""

    model: str | None = Field(None, max_length=100, examples=["digits"])


class Given(BaseModel):
    """The task that is yours for five minutes; null where nothing is left."""

    task: TaskOut | None


class AnswerIn(BaseModel):
    """A label; or that you cannot tell (`skip`), or that nobody can (`unusable`), and why."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"label": "3"}, {"kind": "unusable", "reason": "the lens is covered"}]
        },
    )

    kind: AnswerKind = AnswerKind.LABEL
    label: ClassIn | None = Field(None, description="Name of a class, or its index.")
    reason: str = Field("", max_length=MAX_REASON)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.kind is AnswerKind.LABEL) != (self.label is not None):
            raise ValueError("it has a label, or else a kind and a reason")
        return self


class CorrectionIn(AnswerIn):
    """What should have been answered: a label, or `unusable` and why."""

    kind: Literal[AnswerKind.LABEL, AnswerKind.UNUSABLE] = AnswerKind.LABEL


class InputOut(BaseModel):
    """One array that the caller passed."""

    dtype: str = Field(examples=["uint8"])
    shape: list[int] = Field(examples=[[1, 8, 8]])
    values: Any = Field(description="Nested lists; null where they are too many to show.")


class CountsOut(BaseModel):
    """How the labelling of a model stands."""

    model: str
    states: dict[TaskState, int]
    labels: dict[str, int] = Field(examples=[{"3": 12, "8": 9}])
    reviews: int = Field(description="How many people must agree on a task.")
    reviewed: int = Field(description="Tasks that more than one person answered.")
    agreement: float | None = Field(description="Share of these that all answered alike.")


class Reviews(BaseModel):
    """How many people must agree on a task."""

    reviews: int = Field(ge=1, le=MAX_REVIEWS, examples=[2])


class Refused(BaseModel):
    """A task of a file that was not taken."""

    place: int = Field(description="In the file, from 0.")
    reason: str


class ImportOut(BaseModel):
    """What became of a file."""

    taken: int
    unchanged: int
    refused: list[Refused]


Chosen: TypeAlias = Annotated[
    list[dict[str, Any]],
    Body(
        max_length=MAX_TASKS,
        examples=[
            [
                {
                    "data": {"task": "3f2a9c0de1b24c55a0f1e2d3c4b5a697"},
                    "annotations": [{"result": [{"type": "choices", "value": {"choices": ["3"]}}]}],
                }
            ]
        ],
    ),
]


def router(labels: Labels, clock: Callable[[], datetime]) -> APIRouter:
    """Return the routes."""
    made = APIRouter(prefix="/v1", tags=["labels"])
    _add_tasks(made, labels)
    _add_inputs(made, labels)
    _add_answers(made, labels, clock)
    _add_models(made, labels, clock)
    _add_label_studio(made, labels, clock)
    return made


def _add_tasks(made: APIRouter, labels: Labels) -> None:
    @made.get("/labels/tasks", responses=refusals(404))
    def tasks(
        actor: Viewer,
        model: Model = None,
        state: State = TaskState.OPEN,
        after: After = None,
        limit: Limit = 100,
    ) -> Tasks:
        """List tasks: open ones the most telling first, others the latest decided first."""
        page = labels.queue(model, state, after=after, limit=limit, tenant=actor.tenant)
        return Tasks(tasks=[_task(t) for t in page.tasks], total=page.total, after=page.after)

    @made.get("/labels/tasks/{task}", responses=refusals(404))
    def task(actor: Viewer, task: TaskId) -> TaskDetail:
        """Return a task and all that was said of it."""
        found = labels.task(task, tenant=actor.tenant)
        said = labels.answers(task, tenant=actor.tenant)
        return TaskDetail(**_task(found).model_dump(), answers=[_answer(one) for one in said])


def _add_inputs(made: APIRouter, labels: Labels) -> None:
    @made.get("/labels/tasks/{task}/input", responses=refusals(404))
    def input_(actor: Viewer, task: TaskId) -> dict[str, InputOut]:
        """Return the arrays that a task is about; values of small ones."""
        return {n: _input(a) for n, a in labels.input(task, tenant=actor.tenant).items()}

    @made.get(
        "/labels/tasks/{task}/image",
        response_class=Response,
        responses={200: {"content": {"image/png": {}}}, **refusals(404)},
    )
    def image(
        actor: Viewer,
        task: TaskId,
        input: Annotated[str | None, Query(max_length=200)] = None,  # noqa: A002 (as it is asked)
    ) -> Response:
        """Return an input as a picture, at least 128 pixels wide and high where it can be."""
        png = labels.image(task, input, tenant=actor.tenant)
        return Response(png, media_type="image/png", headers={"Cache-Control": "private"})


def _add_answers(made: APIRouter, labels: Labels, clock: Callable[[], datetime]) -> None:
    @made.post("/labels/tasks/next", responses=refusals())
    def next_(actor: Operator, wanted: Next) -> Given:
        """Take the most telling task that nobody has; it is yours for five minutes."""
        found = labels.next_task(actor.name, wanted.model, now=clock(), tenant=actor.tenant)
        return Given(task=None if found is None else _task(found))

    @made.post("/labels/tasks/{task}/answer", responses=refusals(404, 409))
    def answer(actor: Operator, task: TaskId, given: AnswerIn) -> TaskOut:
        """Say what an input shows, that you cannot tell, or that nobody can."""
        by, now, tenant = actor.name, clock(), actor.tenant
        if given.label is not None:
            return _task(labels.answer(task, given.label, by=by, now=now, tenant=tenant))
        say = labels.skip if given.kind is AnswerKind.SKIP else labels.unusable
        return _task(say(task, given.reason, by=by, now=now, tenant=tenant))

    @made.post("/labels/tasks/{task}/correct", responses=refusals(404, 409))
    def correct(actor: Operator, task: TaskId, given: CorrectionIn) -> TaskOut:
        """Decide a task again; what was said before stays in its history."""
        by, now, tenant = actor.name, clock(), actor.tenant
        return _task(
            labels.correct(task, given.label, by=by, now=now, reason=given.reason, tenant=tenant)
        )


def _add_models(made: APIRouter, labels: Labels, clock: Callable[[], datetime]) -> None:
    @made.get("/models/{model}/labels", responses=refusals())
    def counts(actor: Viewer, model: ModelName) -> CountsOut:
        """Return how the labelling of a model stands."""
        return _counts(labels.counts(model, tenant=actor.tenant))

    @made.put("/models/{model}/labels/reviews", responses=refusals())
    def reviews(actor: Operator, model: ModelName, wanted: Reviews) -> CountsOut:
        """Say how many people must agree on a task of this model."""
        labels.set_reviews(model, wanted.reviews, by=actor.name, now=clock(), tenant=actor.tenant)
        return _counts(labels.counts(model, tenant=actor.tenant))

    @made.get(
        "/models/{model}/labels/export",
        response_class=Response,
        responses={200: {"content": {"application/octet-stream": {}}}, **refusals(409)},
    )
    def export(
        actor: Viewer,
        model: ModelName,
        since_version: Annotated[int | None, Query(ge=0, lt=2**53)] = None,
    ) -> Response:
        """Return the finished labels as an .npz to train on, in the order of time."""
        data = labels.export(model, since_version=since_version, tenant=actor.tenant)
        headers = {"Content-Disposition": 'attachment; filename="labels.npz"'}
        return Response(data, media_type="application/octet-stream", headers=headers)


def _add_label_studio(made: APIRouter, labels: Labels, clock: Callable[[], datetime]) -> None:
    @made.get("/models/{model}/labels/label-studio", responses=refusals(404))
    def exported(
        actor: Viewer,
        response: Response,
        model: ModelName,
        state: State = TaskState.OPEN,
        after: After = None,
        limit: Limit = 100,
    ) -> list[dict[str, Any]]:
        """Return tasks as Label Studio imports them; the header `X-After` names the next page."""
        found, following = labels.to_label_studio(
            model, state, after=after, limit=limit, tenant=actor.tenant
        )
        if following is not None:
            response.headers["X-After"] = following
        return found

    @made.post("/labels/label-studio", responses=refusals(413))
    def imported(actor: Operator, tasks: Chosen) -> ImportOut:
        """Take what was chosen in Label Studio, from the JSON that it exports."""
        data = msgspec.json.encode(tasks)
        found = labels.from_label_studio(data, by=actor.name, now=clock(), tenant=actor.tenant)
        refused = [Refused(place=place, reason=reason) for place, reason in found.refused]
        return ImportOut(taken=found.taken, unchanged=found.unchanged, refused=refused)


def _task(task: Task) -> TaskOut:
    index, name = task.predicted
    plain = asdict(task) | {"predicted_index": index, "predicted_name": name}
    return TaskOut.model_validate(plain)


def _answer(answer: Answer) -> AnswerOut:
    return AnswerOut.model_validate(answer)


def _counts(counts: Counts) -> CountsOut:
    return CountsOut.model_validate(asdict(counts))


def _input(array: NDArray[Any]) -> InputOut:
    values = _plain(array) if array.size <= MAX_VALUES else None
    return InputOut(dtype=array.dtype.name, shape=list(array.shape), values=values)


def _plain(array: NDArray[Any]) -> Any:
    """Return nested lists; JSON has no NaN, so what is no number is null."""
    if array.dtype.kind != "f":
        return array.tolist()
    values = array.astype(object)
    values[~np.isfinite(array)] = None
    return values.tolist()
