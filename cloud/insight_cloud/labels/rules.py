# SPDX-License-Identifier: Apache-2.0
"""What people are asked first, what a label may be, and when a task is decided. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from insight_cloud.telemetry.classes import MAX_INDEX, MAX_NAME_LENGTH, Class
from insight_edge.documents.codec import digest
from insight_edge.errors import DocumentError

LEASE = timedelta(minutes=5)
"""How long a task is kept for the person who was given it."""

MAX_REASON = 300
"""Characters of what somebody says about an input that has no label."""

MAX_PERSON = 100
MAX_REVIEWS = 5
MAX_ANSWERS = 100
"""Of one task; its history is kept whole."""


class TaskState(StrEnum):
    """How far a task is."""

    OPEN = "open"
    FINISHED = "finished"
    UNUSABLE = "unusable"
    REFUSED = "refused"


class AnswerKind(StrEnum):
    """What somebody said: a class, that they cannot tell, or that nobody can."""

    LABEL = "label"
    SKIP = "skip"
    UNUSABLE = "unusable"


_DECIDED = {AnswerKind.LABEL: TaskState.FINISHED, AnswerKind.UNUSABLE: TaskState.UNUSABLE}


@dataclass(frozen=True, kw_only=True)
class Label:
    """A class that a person named.

    Attributes:
        name: None where the model does not name its classes.
    """

    index: int
    name: str | None = None

    @property
    def text(self) -> str:
        """How people read it."""
        return str(self.index) if self.name is None else self.name


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one person said of one input, once.

    Attributes:
        number: 1 for the first of a task, then one more each.
        label: None unless it is one.
        reason: why there is no label, or why it is corrected.
        corrects: what was said before does not count any more.
    """

    task: str
    number: int
    by: str
    kind: AnswerKind
    label: Label | None
    reason: str
    at: datetime
    corrects: bool = False


@dataclass(frozen=True, kw_only=True)
class Task:
    """An input that people are asked about.

    Attributes:
        sample: digest of the file.
        result: id of the result that the input gave.
        classes: names that the model gives its classes.
        score: why it was kept, in the unit of the reason.
        predicted: what the model answered.
        at_s: when, by the device's clock.
        fault: why nobody can be asked.
        leased_by: who was given it last; theirs until `leased_until`.
        people: how many have said something that counts.
        agreed: whether all of them said the same.
        label: that it was decided on, the last time by `label_by`.
        decided_s: when, in seconds since the epoch.
    """

    id: str
    device: str
    deployment: str
    sample: str
    result: str
    bundle: str
    model: str
    version: int
    classes: tuple[str, ...]
    reason: str
    score: float
    predicted: Class
    at_s: float
    created: datetime
    state: TaskState
    fault: str | None
    leased_by: str | None
    leased_until: datetime | None
    people: int
    agreed: bool
    label: Label | None
    label_by: str | None
    decided_s: float | None


@dataclass(frozen=True, kw_only=True)
class TaskPage:
    """Some tasks: open ones the most telling first, others the latest decided first.

    Attributes:
        total: how many match, on all pages.
        after: what the next page starts after; None on the last.
    """

    tasks: tuple[Task, ...]
    total: int
    after: str | None


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How the labelling of a model stands.

    Attributes:
        states: tasks by state.
        labels: finished ones by label.
        reviews: how many people must agree on a task.
        reviewed: tasks that more than one person answered.
        agreement: share of these that all answered alike; None without any.
    """

    model: str
    states: Mapping[TaskState, int]
    labels: Mapping[str, int]
    reviews: int
    reviewed: int
    agreement: float | None


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the answers to a task come to.

    Attributes:
        people, agreed: as `Task` has them; corrections are not counted.
    """

    state: TaskState
    label: Label | None
    people: int
    agreed: bool


def task_id(device: str, sample: str) -> str:
    """Return the id of the task about a sample: the same whenever it is asked."""
    return digest(f"{device}/{sample}".encode()).removeprefix("sha256:")[:32]


def rank(reason: str, score: float) -> tuple[int, float]:
    """Return what tasks are ordered by, the most telling first.

    The least certain come first, then those the farthest out of range, then random ones.
    """
    if reason == "uncertain":
        return 0, score
    return (1, -score) if reason == "out-of-range" else (2, 0.0)


def read_label(given: int | str, classes: Sequence[str]) -> Label:
    """Return the class that somebody named by index or by name.

    Raises:
        DocumentError: the model has no such class.
    """
    if isinstance(given, str) and given in classes:
        return Label(index=classes.index(given), name=given)
    if isinstance(given, (str, bool)):
        raise DocumentError(
            f"'{str(given)[:MAX_NAME_LENGTH]}' is no class of the model", hint=_known(classes)
        )
    if not 0 <= given < (len(classes) or MAX_INDEX):
        raise DocumentError("no class of the model has this index", hint=_known(classes))
    return Label(index=given, name=classes[given] if classes else None)


def read_words(kind: str, text: str, most: int) -> str:
    """Return what somebody wrote, without what is around it.

    Raises:
        DocumentError: it is empty, longer than `most` characters, or more than one line.
    """
    found = text.strip()
    if not found or len(found) > most or not found.isprintable():
        raise DocumentError(f"{kind}: one line of 1 to {most} characters is needed")
    return found


def verdict(answers: Sequence[Answer], reviews: int) -> Verdict:
    """Return what the answers to a task come to; of each person the latest counts.

    A task is decided when as many as `reviews` people say the same, or by whoever corrected it
    last. Until then it is open to somebody else.
    """
    latest = {answer.by: answer for answer in answers if not answer.corrects}
    said = [answer for answer in latest.values() if answer.kind is not AnswerKind.SKIP]
    votes = Counter((answer.kind, answer.label) for answer in said)
    decided = [vote for vote, people in votes.items() if people >= reviews]
    if answers and answers[-1].corrects:
        decided = [(answers[-1].kind, answers[-1].label)]
    kind, label = decided[0] if decided else (None, None)
    return Verdict(
        state=TaskState.OPEN if kind is None else _DECIDED[kind],
        label=label,
        people=len(said),
        agreed=len(votes) <= 1,
    )


def _known(classes: Sequence[str]) -> str:
    if not classes:
        return "the model does not name its classes: give the index, 0 or more"
    named = ", ".join(classes[:20]) + (", …" if len(classes) > 20 else "")
    return f"its classes, from index 0 on: {named}"
