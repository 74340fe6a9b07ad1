# SPDX-License-Identifier: Apache-2.0
"""Tasks and answers in the JSON of Label Studio, for choices of one class. Pure.

Label Studio is not needed: its tasks are a format that labelling tools read and write.
Our id travels in `data.task`, and comes back in whatever the tool adds.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from insight_cloud.labels.rules import Answer, AnswerKind, Task
from insight_edge.errors import DocumentError, LimitExceededError

FROM_NAME: Final = "label"
TO_NAME: Final = "image"
TYPE: Final = "choices"

MAX_BYTES = 16 * 1024 * 1024
MAX_TASKS = 1000
"""In one import."""

MAX_EMBEDDED_BYTES = 64 * 1024
"""Of a picture that travels in the task itself; larger ones are named by their address."""


@dataclass(frozen=True, kw_only=True)
class Given:
    """What a tool says of one of our tasks.

    Attributes:
        place: of the task in the file, from 0.
        choice: the class that was chosen; None where nobody has.
        fault: why it cannot be meant.
    """

    place: int
    task: str = ""
    choice: str | None = None
    fault: str | None = None


class _Result(msgspec.Struct):
    type: str = ""
    value: dict[str, Any] = {}


class _Annotation(msgspec.Struct):
    result: Annotated[list[_Result], Meta(max_length=100)] = []
    was_cancelled: bool = False


class _Task(msgspec.Struct):
    data: dict[str, Any] = {}
    annotations: Annotated[list[_Annotation], Meta(max_length=100)] = []


_decoder = msgspec.json.Decoder(list[msgspec.Raw])
_task_decoder = msgspec.json.Decoder(_Task)


def task_json(task: Task, answers: Sequence[Answer], picture: bytes | None) -> dict[str, Any]:
    """Return a task as Label Studio imports it.

    Args:
        task: ours.
        answers: what was said of it; the latest come last.
        picture: PNG of its input, None where it is no picture.
    """
    return {
        "data": {
            "task": task.id,
            "image": _picture(task, picture),
            "model": f"{task.model}:{task.version}",
            "reason": task.reason,
            "device": task.device,
        },
        "annotations": [_annotation(answer) for answer in answers],
        "predictions": [] if _predicted(task) is None else [_prediction(task)],
    }


def read_tasks(data: bytes) -> list[Given]:
    """Return what a tool says of our tasks, the last annotation of each.

    Raises:
        LimitExceededError: more than is ever read.
        DocumentError: no list of tasks.
    """
    if len(data) > MAX_BYTES:
        raise LimitExceededError(f"{len(data)} bytes, at most {MAX_BYTES} are read")
    try:
        items = _decoder.decode(data)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise DocumentError(f"no list of Label Studio tasks: {error}") from error
    if len(items) > MAX_TASKS:
        raise LimitExceededError(f"{len(items)} tasks, at most {MAX_TASKS} are read at once")
    return [_given(place, item) for place, item in enumerate(items)]


def _given(place: int, item: msgspec.Raw) -> Given:
    try:
        found = _task_decoder.decode(item)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        return Given(place=place, fault=f"no task: {error}")
    task = found.data.get("task")
    if not isinstance(task, str):
        return Given(place=place, fault="it has no `data.task`, the id that it was exported with")
    said = [one for one in found.annotations if not one.was_cancelled and one.result]
    if not said:
        return Given(place=place, task=task)
    choices = [
        choice for one in said[-1].result if one.type == TYPE for choice in _choices(one.value)
    ]
    if len(choices) != 1 or not isinstance(choices[0], str):
        return Given(place=place, task=task, fault="its annotation is not one choice")
    return Given(place=place, task=task, choice=choices[0])


def _choices(value: dict[str, Any]) -> list[Any]:
    found = value.get(TYPE)
    return found if isinstance(found, list) else []


def _annotation(answer: Answer) -> dict[str, Any]:
    return {
        "created_username": answer.by,
        "created_at": answer.at.isoformat(),
        "was_cancelled": answer.kind is not AnswerKind.LABEL,
        "result": [] if answer.label is None else [_result(answer.label.text)],
    }


def _prediction(task: Task) -> dict[str, Any]:
    # Only the score of an uncertain one is a confidence.
    score = {"score": task.score} if task.reason == "uncertain" else {}
    result = [_result(_predicted(task) or "")]
    return {"model_version": f"{task.model}:{task.version}", "result": result, **score}


def _result(choice: str) -> dict[str, Any]:
    return {
        "from_name": FROM_NAME,
        "to_name": TO_NAME,
        "type": TYPE,
        "value": {TYPE: [choice]},
    }


def _predicted(task: Task) -> str | None:
    index, name = task.predicted
    if name is not None or index is None:
        return name
    return task.classes[index] if index < len(task.classes) else str(index)


def _picture(task: Task, picture: bytes | None) -> str | None:
    if picture is None:
        return None
    if len(picture) > MAX_EMBEDDED_BYTES:
        return f"/v1/labels/tasks/{task.id}/image"
    return "data:image/png;base64," + base64.b64encode(picture).decode()
