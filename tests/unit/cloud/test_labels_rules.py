# SPDX-License-Identifier: Apache-2.0
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_cloud.labels.rules import (
    Answer,
    AnswerKind,
    Label,
    TaskState,
    rank,
    read_label,
    read_words,
    task_id,
    verdict,
)
from insight_edge.errors import DocumentError
from tests.fakes.telemetry import NOW

PEOPLE = ("ann", "bob", "cleo")
LABELS = (Label(index=0, name="cat"), Label(index=1, name="dog"))
CAT: tuple[AnswerKind, Label | None] = (AnswerKind.LABEL, LABELS[0])
DOG: tuple[AnswerKind, Label | None] = (AnswerKind.LABEL, LABELS[1])
SKIP: tuple[AnswerKind, Label | None] = (AnswerKind.SKIP, None)
UNUSABLE: tuple[AnswerKind, Label | None] = (AnswerKind.UNUSABLE, None)
SAID = (CAT, DOG, SKIP, UNUSABLE)
ANSWERS = st.lists(
    st.tuples(st.sampled_from(PEOPLE), st.sampled_from(SAID), st.just(False)), max_size=8
)


def answers(*said: tuple[str, tuple[AnswerKind, Label | None], bool]) -> list[Answer]:
    return [
        Answer(
            task="t",
            number=number,
            by=by,
            kind=kind,
            label=label,
            reason="",
            at=NOW + timedelta(seconds=number),
            corrects=corrects,
        )
        for number, (by, (kind, label), corrects) in enumerate(said, start=1)
    ]


@pytest.mark.parametrize(
    ("said", "reviews", "state", "label", "agreed"),
    [
        ([], 1, TaskState.OPEN, None, True),
        ([("ann", CAT)], 1, TaskState.FINISHED, LABELS[0], True),
        ([("ann", SKIP)], 1, TaskState.OPEN, None, True),
        ([("ann", UNUSABLE)], 1, TaskState.UNUSABLE, None, True),
        ([("ann", CAT)], 2, TaskState.OPEN, None, True),
        ([("ann", CAT), ("ann", CAT)], 2, TaskState.OPEN, None, True),
        ([("ann", CAT), ("bob", CAT)], 2, TaskState.FINISHED, LABELS[0], True),
        ([("ann", CAT), ("bob", DOG)], 2, TaskState.OPEN, None, False),
        ([("ann", CAT), ("bob", DOG), ("cleo", DOG)], 2, TaskState.FINISHED, LABELS[1], False),
        ([("ann", CAT), ("bob", UNUSABLE)], 2, TaskState.OPEN, None, False),
        ([("ann", CAT), ("ann", SKIP), ("bob", CAT)], 2, TaskState.OPEN, None, True),
    ],
)
def test_a_task_is_decided_when_enough_people_agree(
    said: list[tuple[str, tuple[AnswerKind, Label | None]]],
    reviews: int,
    state: TaskState,
    label: Label | None,
    agreed: bool,
) -> None:
    found = verdict(answers(*((by, what, False) for by, what in said)), reviews)
    assert (found.state, found.label, found.agreed) == (state, label, agreed)


@given(ANSWERS, st.sampled_from(PEOPLE), st.sampled_from([CAT, DOG, UNUSABLE]), st.integers(1, 3))
def test_the_last_correction_decides_and_changes_no_count_of_people(
    said: list[tuple[str, tuple[AnswerKind, Label | None], bool]],
    by: str,
    what: tuple[AnswerKind, Label | None],
    reviews: int,
) -> None:
    before = verdict(answers(*said), reviews)
    after = verdict(answers(*said, (by, what, True)), reviews)
    wanted = TaskState.UNUSABLE if what is UNUSABLE else TaskState.FINISHED
    assert (after.state, after.label) == (wanted, what[1])
    assert (after.people, after.agreed) == (before.people, before.agreed)


@given(ANSWERS, st.integers(1, 3))
def test_no_more_people_are_counted_than_spoke_and_a_label_has_enough(
    said: list[tuple[str, tuple[AnswerKind, Label | None], bool]], reviews: int
) -> None:
    found = verdict(answers(*said), reviews)
    latest = {by: what for by, what, _ in said}
    assert found.people == sum(what is not SKIP for what in latest.values())
    if found.state is TaskState.FINISHED:
        assert sum(what == (AnswerKind.LABEL, found.label) for what in latest.values()) >= reviews
    if found.state is TaskState.OPEN:
        assert found.label is None


def test_the_least_certain_come_first_then_the_farthest_then_random_ones() -> None:
    kept = [("random", 0.0), ("out-of-range", 0.2), ("uncertain", 0.9)]
    kept += [("out-of-range", 0.8), ("uncertain", 0.4)]
    assert sorted(kept, key=lambda one: rank(*one)) == [
        ("uncertain", 0.4),
        ("uncertain", 0.9),
        ("out-of-range", 0.8),
        ("out-of-range", 0.2),
        ("random", 0.0),
    ]


@given(st.text(max_size=20), st.text(max_size=20))
def test_the_id_of_a_task_is_its_samples(device: str, sample: str) -> None:
    assert task_id("camera-1", "x") == task_id("camera-1", "x")
    if (device, sample) != ("camera-1", "x"):
        assert task_id(device, sample) != task_id("camera-1", "x") or "/" in device + sample


@pytest.mark.parametrize(
    ("said", "classes", "label"),
    [
        ("dog", ("cat", "dog"), Label(index=1, name="dog")),
        (1, ("cat", "dog"), Label(index=1, name="dog")),
        ("1", ("2", "1"), Label(index=1, name="1")),
        (1, ("2", "1"), Label(index=1, name="1")),
        (7, (), Label(index=7)),
    ],
)
def test_a_class_is_named_by_index_or_by_name(
    said: int | str, classes: tuple[str, ...], label: Label
) -> None:
    assert read_label(said, classes) == label


@pytest.mark.parametrize(
    ("said", "classes"),
    [
        ("", ("cat",)),
        ("Cat", ("cat",)),
        (1, ("cat",)),
        (-1, ("cat",)),
        (True, ("cat", "dog")),
        (-1, ()),
        (2**31, ()),
        ("0", ()),
        ("x" * 10**6, ("cat",)),
        (10**30, ("cat",)),
    ],
)
def test_what_is_no_class_is_refused_with_those_there_are(
    said: int | str, classes: tuple[str, ...]
) -> None:
    with pytest.raises(DocumentError) as caught:
        read_label(said, classes)
    assert len(str(caught.value)) < 300
    assert ("cat" if classes else "give the index") in str(caught.value.hint)


@pytest.mark.parametrize("text", ["", "  ", "a\nb", "x" * 301, "\x00"])
def test_a_reason_is_one_line(text: str) -> None:
    with pytest.raises(DocumentError, match="one line of 1 to 300"):
        read_words("the reason", text, 300)
    assert read_words("the reason", " too dark ", 300) == "too dark"
