# SPDX-License-Identifier: Apache-2.0
import io
import re
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from insight_cloud.labels.rules import LEASE, AnswerKind, Label, TaskState
from insight_cloud.labels.service import Labels
from insight_cloud.platform.blobs import Blobs, blob_key
from insight_cloud.platform.database import Database
from insight_cloud.platform.errors import ConflictError, NotFoundError
from insight_cloud.telemetry.known import find_in
from insight_cloud.telemetry.samples import SampleState
from insight_cloud.telemetry.service import Telemetry
from insight_cloud.worker.labelling import label
from insight_edge.bundle.npz import arrays_from_npz, npz_from_arrays
from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import ConfigurationError, DocumentError
from tests.fakes.labelling import CLASSES, IMAGE, Labelling, image, image_manifest, later
from tests.fakes.telemetry import NOW


@pytest.fixture
def cloud(database: Database, blobs: Blobs, tmp_path: Path) -> Labelling:
    return Labelling(database, blobs, tmp_path)


def bomb() -> bytes:
    """Return a small file whose array is large."""
    packed = io.BytesIO()
    array = npz_from_arrays({"image": np.zeros((1, 8, 8), np.uint8)})
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        with zipfile.ZipFile(io.BytesIO(array)) as inner:
            data = inner.read("image.npy")
        archive.writestr("image.npy", data + bytes(17 * 1024 * 1024))
    return packed.getvalue()


def pickled() -> bytes:
    packed = io.BytesIO()
    np.savez(packed, image=np.array([{"a": 1}], dtype=object))
    return packed.getvalue()


def test_a_sample_becomes_a_task_once(cloud: Labelling) -> None:
    name = cloud.arrive()
    assert cloud.labels.gather(NOW) == 1
    assert cloud.labels.gather(later(seconds=2)) == 0
    (task,) = cloud.labels.queue("pets").tasks
    assert (task.device, task.sample, task.model, task.version) == ("camera-1", name, "pets", 1)
    assert (task.classes, task.predicted) == (("cat", "dog", "eel"), (0, None))
    assert cloud.labels.task(task.id) == task
    assert cloud.labels.models() == {"pets": 1}
    assert cloud.labels.queue("other").tasks == ()


def test_the_most_telling_come_first_page_by_page(cloud: Labelling) -> None:
    for reason, score in [("random", 0), ("out-of-range", 0.3), ("uncertain", 0.6)]:
        cloud.arrive(reason=reason, score=float(score))
    cloud.arrive(reason="uncertain", score=0.2)
    cloud.labels.gather(NOW)
    wanted = [0.2, 0.6, 0.3, 0.0]
    found: list[float] = []
    after = None
    while True:
        page = cloud.labels.queue(after=after, limit=1)
        assert page.total == 4
        found += [task.score for task in page.tasks]
        after = page.after
        if after is None:
            break
    assert found == wanted
    assert [task.score for task in cloud.labels.queue().tasks] == wanted
    with pytest.raises(NotFoundError):
        cloud.labels.queue(after="0" * 32)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"x", "not an .npz"),
        (b"PK\x03\x04 and then nothing of the kind", "not an .npz"),
        (bomb(), "LimitExceededError: unpacks to"),
        (pickled(), "not numbers"),
        ({"image": image(1).astype(np.float32)}, "the model takes uint8"),
        ({"image": image(1)[0]}, "not one row"),
        ({"image": np.repeat(image(1), 2, axis=0)}, "not one row"),
        ({"image": image(1)[:, :4]}, r"the model takes \['batch', 8, 8\]"),
        ({"picture": image(1)}, "not the inputs of its model"),
        ({"image": image(1), "more": image(2)}, "not the inputs of its model"),
        ({f"a{n}": image(1) for n in range(40)}, "40 arrays, at most 32"),
    ],
)
def test_a_damaged_sample_is_refused_with_the_reason_and_let_go(
    cloud: Labelling, data: Any, reason: str
) -> None:
    cloud.arrive(data)
    cloud.arrive()
    assert cloud.labels.gather(NOW) == 2
    assert cloud.labels.queue().total == 1
    (task,) = cloud.labels.queue(state=TaskState.REFUSED).tasks
    assert task.fault is not None
    assert re.search(reason, task.fault)
    cloud.labels.settle(NOW)
    assert [s.digest for s in cloud.telemetry.samples(SampleState.EXPIRED)] == [task.sample]
    with pytest.raises(ConflictError, match="refused"):
        cloud.labels.answer(task.id, "cat", by="ann", now=NOW)


def test_a_file_that_is_gone_or_changed_is_refused(cloud: Labelling, tmp_path: Path) -> None:
    cloud.arrive(b"never kept", kept=False)
    name = cloud.arrive()
    (tmp_path / "blobs" / blob_key(name)).write_bytes(b"rotten")
    assert cloud.labels.gather(NOW) == 2
    faults = {task.fault for task in cloud.labels.queue(state=TaskState.REFUSED).tasks}
    assert sorted(str(fault).partition(":")[0] for fault in faults) == [
        "DigestMismatchError",
        "NotFoundError",
    ]


def test_a_sample_of_an_unknown_bundle_waits_and_stops_nobody(cloud: Labelling) -> None:
    manifest = image_manifest(version=2)
    cloud.arrive(bundle="sha256:" + "7" * 64)
    cloud.arrive()
    assert cloud.labels.gather(NOW) == 1
    cloud.arrive(bundle=cloud.know(manifest))
    assert cloud.labels.gather(NOW) == 1
    assert {task.version for task in cloud.labels.queue().tasks} == {1, 2}
    assert len(cloud.telemetry.samples(SampleState.UPLOADED)) == 3


def test_two_people_are_never_asked_the_same_until_the_lease_ends(cloud: Labelling) -> None:
    one, other = cloud.asked(2)
    first = cloud.labels.next_task("ann", "pets", now=NOW)
    second = cloud.labels.next_task("bob", "pets", now=NOW)
    assert first is not None
    assert second is not None
    assert {first.id, second.id} == {one.id, other.id}
    assert cloud.labels.next_task("cleo", "pets", now=NOW) is None
    again = cloud.labels.next_task("ann", "pets", now=later(minutes=1))
    assert again is not None
    assert again.id == first.id
    with pytest.raises(ConflictError, match="'bob' is looking"):
        cloud.labels.answer(second.id, "cat", by="ann", now=later(minutes=1))
    late = cloud.labels.next_task("cleo", now=NOW + LEASE)
    assert late is not None
    assert late.id == second.id
    with pytest.raises(ConflictError, match="'cleo' is looking"):
        cloud.labels.answer(second.id, "cat", by="bob", now=NOW + LEASE)


def test_many_who_ask_at_once_are_all_given_something_else(cloud: Labelling) -> None:
    cloud.asked(8)
    with ThreadPoolExecutor(8) as people:
        given = list(people.map(lambda n: cloud.labels.next_task(f"p{n}", now=NOW), range(8)))
    assert len({task.id for task in given if task is not None}) == 8


def test_who_has_said_something_is_not_asked_again(cloud: Labelling) -> None:
    (task,) = cloud.asked()
    assert cloud.labels.next_task("ann", now=NOW) is not None
    cloud.labels.skip(task.id, "too dark", by="ann", now=NOW)
    assert cloud.labels.next_task("ann", now=NOW) is None
    assert cloud.labels.next_task("bob", now=NOW) is not None
    (said,) = cloud.labels.answers(task.id)
    assert (said.by, said.kind, said.reason) == ("ann", AnswerKind.SKIP, "too dark")


def test_a_label_becomes_an_outcome(cloud: Labelling) -> None:
    first, second = sorted(cloud.asked(2), key=lambda task: task.result)
    cloud.predicted(1, 2)
    done = cloud.labels.answer(first.id, "cat", by="ann", now=NOW)
    assert (done.state, done.label) == (TaskState.FINISHED, Label(index=0, name="cat"))
    cloud.labels.answer(second.id, 2, by="ann", now=NOW)
    assert cloud.correct_of_judged() == (0, 0)
    assert cloud.labels.settle(later(seconds=1)) == 2
    assert cloud.labels.settle(later(seconds=2)) == 0
    assert cloud.correct_of_judged() == (1, 2)
    assert len(cloud.telemetry.samples(SampleState.LABELLED)) == 2
    assert cloud.telemetry.samples(SampleState.UPLOADED) == ()
    with pytest.raises(ConflictError, match="finished"):
        cloud.labels.answer(first.id, "dog", by="bob", now=later(hours=1))


def test_the_worker_asks_about_what_is_new_and_tells_what_was_said(cloud: Labelling) -> None:
    cloud.arrive()
    cloud.predicted(1)
    label(cloud.labels, NOW)
    (task,) = cloud.labels.queue().tasks
    cloud.labels.answer(task.id, "cat", by="ann", now=NOW)
    label(cloud.labels, later(seconds=2))
    assert cloud.correct_of_judged() == (1, 1)


def test_a_correction_counts_instead_even_when_the_clock_went_back(cloud: Labelling) -> None:
    (task,) = cloud.asked()
    cloud.predicted(1)
    cloud.labels.answer(task.id, "dog", by="ann", now=NOW)
    cloud.labels.settle(NOW)
    assert cloud.correct_of_judged() == (0, 1)
    fixed = cloud.labels.correct(task.id, "cat", by="bob", now=later(days=-1), reason="look again")
    assert fixed.label == Label(index=0, name="cat")
    cloud.labels.settle(NOW)
    assert cloud.correct_of_judged() == (1, 1)
    said = cloud.labels.answers(task.id)
    assert [(one.by, one.corrects) for one in said] == [("ann", False), ("bob", True)]
    assert said[0].label == Label(index=1, name="dog")
    cloud.labels.correct(task.id, None, by="bob", now=NOW, reason="nobody can tell")
    cloud.labels.settle(NOW)
    assert cloud.correct_of_judged() == (0, 0)
    assert cloud.labels.counts("pets").states[TaskState.UNUSABLE] == 1


def test_only_what_is_decided_can_be_corrected_and_a_reason_is_needed(cloud: Labelling) -> None:
    (task,) = cloud.asked()
    with pytest.raises(ConflictError, match="nothing to correct"):
        cloud.labels.correct(task.id, "cat", by="ann", now=NOW)
    with pytest.raises(DocumentError, match="the reason"):
        cloud.labels.unusable(task.id, " ", by="ann", now=NOW)
    with pytest.raises(DocumentError, match="no class"):
        cloud.labels.answer(task.id, "cow", by="ann", now=NOW)
    with pytest.raises(DocumentError, match="who answers"):
        cloud.labels.answer(task.id, "cat", by="", now=NOW)
    with pytest.raises(NotFoundError):
        cloud.labels.answer("x", "cat", by="ann", now=NOW)
    assert cloud.labels.answers(task.id) == ()


class Crash(BaseException):
    """The process ends here."""


class Crashing(Telemetry):
    """Telemetry of a process that ends before or after its n-th write."""

    def __init__(self, cloud: Labelling, at: int, *, after: bool) -> None:
        super().__init__(cloud.database, find_in(cloud.blobs), cloud.folder / "log")
        self._left, self._after = at, after

    def record_outcomes(self, *arguments: Any, **named: Any) -> None:
        self._end(before=True)
        super().record_outcomes(*arguments, **named)
        self._end(before=False)

    def move_sample(self, *arguments: Any, **named: Any) -> bool:
        self._end(before=True)
        moved = super().move_sample(*arguments, **named)
        self._end(before=False)
        return moved

    def _end(self, *, before: bool) -> None:
        if before:
            self._left -= 1
        if self._left == 0 and before is not self._after:
            raise Crash


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(1, 5))
def test_a_crash_anywhere_loses_no_label_and_doubles_none(
    cloud: Labelling,
    at: int,
    after: bool,
) -> None:
    tasks = cloud.asked(2)
    cloud.predicted(1, 2)
    for task in tasks:
        cloud.labels.answer(task.id, "cat", by="ann", now=NOW)
    crashing = Labels(cloud.database, Crashing(cloud, at, after=after), cloud.blobs)
    with pytest.raises(Crash):
        crashing.settle(NOW)
    assert cloud.labels.settle(later(seconds=5)) >= 1
    assert cloud.labels.settle(later(seconds=6)) == 0
    assert cloud.correct_of_judged() == (2, 2)
    assert len(cloud.telemetry.samples(SampleState.LABELLED)) == 2


def test_a_correction_between_telling_and_noting_it_is_told_too(cloud: Labelling) -> None:
    (task,) = cloud.asked()
    cloud.predicted(1)
    cloud.labels.answer(task.id, "cat", by="ann", now=NOW)

    class Corrected(Telemetry):
        def move_sample(self, *arguments: Any, **named: Any) -> bool:
            cloud.labels.correct(task.id, "dog", by="bob", now=NOW)
            return super().move_sample(*arguments, **named)

    told = Corrected(cloud.database, find_in(cloud.blobs), cloud.folder / "log")
    Labels(cloud.database, told, cloud.blobs).settle(NOW)
    assert cloud.correct_of_judged() == (1, 1)
    assert cloud.labels.settle(NOW) == 1
    assert cloud.correct_of_judged() == (0, 1)


def test_a_second_opinion_is_asked_and_a_third_decides(cloud: Labelling) -> None:
    one, other = cloud.asked(2)
    cloud.labels.set_reviews("pets", 2, by="ann", now=NOW)
    cloud.labels.answer(one.id, "cat", by="ann", now=NOW)
    assert cloud.labels.task(one.id).state is TaskState.OPEN
    cloud.labels.answer(one.id, "dog", by="bob", now=NOW)
    third = cloud.labels.answer(one.id, "dog", by="cleo", now=NOW)
    assert (third.state, third.label) == (TaskState.FINISHED, Label(index=1, name="dog"))
    cloud.labels.answer(other.id, "cat", by="ann", now=NOW)
    cloud.labels.answer(other.id, "cat", by="bob", now=NOW)
    counts = cloud.labels.counts("pets")
    assert (counts.reviews, counts.reviewed, counts.agreement) == (2, 2, 0.5)
    assert counts.labels == {"cat": 1, "dog": 1}
    assert counts.states[TaskState.FINISHED] == 2


def test_fewer_reviews_decide_what_waits_for_a_second_opinion(cloud: Labelling) -> None:
    (task,) = cloud.asked()
    cloud.labels.set_reviews("pets", 2, by="ann", now=NOW)
    cloud.labels.answer(task.id, "cat", by="ann", now=NOW)
    cloud.labels.set_reviews("pets", 1, by="ann", now=NOW)
    assert cloud.labels.task(task.id).state is TaskState.FINISHED
    assert cloud.labels.settle(NOW) == 1
    for bad in (0, 6):
        with pytest.raises(ConfigurationError):
            cloud.labels.set_reviews("pets", bad, by="ann", now=NOW)


def test_finished_labels_are_exported_in_the_order_of_time(cloud: Labelling) -> None:
    for number in range(3):
        cloud.arrive({"image": image(number)}, at_s=NOW.timestamp() - number)
    cloud.labels.gather(NOW)
    tasks = sorted(cloud.labels.queue().tasks, key=lambda task: -task.at_s)
    for task, name in zip(tasks, CLASSES, strict=True):
        cloud.labels.answer(task.id, name, by="ann", now=NOW)
    arrays = arrays_from_npz(cloud.labels.export("pets"), max_bytes=10**6, max_arrays=9)
    assert set(arrays) == {"image", "labels", "at_s", "ids"}
    assert arrays["labels"].tolist() == [2, 1, 0]
    assert arrays["labels"].dtype == np.int64
    assert arrays["at_s"].tolist() == sorted(arrays["at_s"].tolist())
    assert arrays["ids"].tolist() == [f"camera-1/default/1/{n}" for n in (3, 2, 1)]
    np.testing.assert_array_equal(arrays["image"], np.concatenate([image(2), image(1), image(0)]))


def test_the_export_holds_what_the_newest_version_understands(
    cloud: Labelling, tmp_path: Path
) -> None:
    old = cloud.asked(3)
    for task, name in zip(old, CLASSES, strict=True):
        cloud.labels.answer(task.id, name, by="ann", now=NOW)
    (tmp_path / "blobs" / blob_key(old[0].sample)).unlink()
    newer = cloud.know(image_manifest(version=2, classes=("eel", "dog")))
    cloud.arrive(bundle=newer)
    larger = TensorSpec(name="image", dtype="uint8", shape=("batch", 4, 4))
    other = cloud.know(image_manifest(version=1, inputs=(larger,)))
    cloud.arrive({"image": image(9)[:, :4, :4]}, bundle=other)
    cloud.labels.gather(NOW)
    for task in cloud.labels.queue().tasks:
        cloud.labels.answer(task.id, "eel", by="ann", now=NOW)
    arrays = arrays_from_npz(cloud.labels.export("pets"), max_bytes=10**6, max_arrays=9)
    assert arrays["image"].shape == (3, 8, 8)
    assert sorted(arrays["labels"].tolist()) == [0, 0, 1]
    newest = cloud.labels.export("pets", since_version=2)
    assert arrays_from_npz(newest, max_bytes=10**6, max_arrays=9)["labels"].tolist() == [0]


def test_an_export_without_labels_is_empty(cloud: Labelling) -> None:
    arrays = arrays_from_npz(cloud.labels.export("pets"), max_bytes=10**6, max_arrays=9)
    assert {name: len(array) for name, array in arrays.items()} == dict.fromkeys(
        ("labels", "at_s", "ids"), 0
    )


def test_an_input_called_as_an_array_of_the_export_is_refused(cloud: Labelling) -> None:
    spec = TensorSpec(name="labels", dtype="uint8", shape=IMAGE.shape)
    name = cloud.know(image_manifest(inputs=(spec,)))
    cloud.arrive({"labels": image(1)}, bundle=name)
    cloud.labels.gather(NOW)
    (task,) = cloud.labels.queue().tasks
    cloud.labels.answer(task.id, "cat", by="ann", now=NOW)
    with pytest.raises(ConflictError, match="'labels'"):
        cloud.labels.export("pets")


def test_what_was_done_is_in_the_audit_trail(cloud: Labelling) -> None:
    (task,) = cloud.asked()
    cloud.labels.skip(task.id, "too dark", by="ann", now=later(seconds=1))
    cloud.labels.answer(task.id, "cat", by="bob", now=later(seconds=2))
    cloud.labels.correct(task.id, "dog", by="ann", now=later(seconds=3))
    with pytest.raises(ConflictError):
        cloud.labels.answer(task.id, "cat", by="bob", now=later(seconds=4))
    with cloud.database.read() as session:
        text = "SELECT by, action FROM accounts_audit ORDER BY id"
        found = [tuple(row) for row in session.connection().exec_driver_sql(text)]
    assert found == [
        ("labels", "label.gather"),
        ("ann", "label.skip"),
        ("bob", "label.answer"),
        ("ann", "label.correct"),
    ]
