# SPDX-License-Identifier: Apache-2.0
import base64
import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_cloud.labels import label_studio
from insight_cloud.labels.importing import Imported
from insight_cloud.labels.label_studio import MAX_BYTES, MAX_TASKS, read_tasks
from insight_cloud.labels.rules import TaskState
from insight_cloud.platform.blobs import Blobs
from insight_cloud.platform.database import Database
from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import DocumentError, LimitExceededError
from tests.fakes.labelling import Labelling, image_manifest
from tests.fakes.telemetry import NOW


@pytest.fixture
def cloud(database: Database, blobs: Blobs, tmp_path: Path) -> Labelling:
    return Labelling(database, blobs, tmp_path)


def chosen(task: str, *choices: Any, **changes: Any) -> dict[str, Any]:
    """Return a task as Label Studio exports it, with more than we read."""
    result = {
        "id": "a1",
        "from_name": "label",
        "to_name": "image",
        "type": "choices",
        "value": {"choices": list(choices)},
    }
    annotation = {"id": 3, "completed_by": 1, "result": [result], "lead_time": 2.5, **changes}
    return {"id": 17, "data": {"task": task, "image": "x"}, "annotations": [annotation]}


def test_tasks_leave_as_label_studio_reads_them(cloud: Labelling) -> None:
    cloud.arrive(reason="uncertain", score=0.4)
    cloud.arrive(reason="random", score=0.0, outputs={"x": (1.0,)})
    cloud.labels.gather(NOW)
    (first, second), after = cloud.labels.to_label_studio("pets")
    assert after is None
    assert first["predictions"] == [
        {
            "model_version": "pets:1",
            "score": 0.4,
            "result": [
                {
                    "from_name": "label",
                    "to_name": "image",
                    "type": "choices",
                    "value": {"choices": ["cat"]},
                }
            ],
        }
    ]
    assert (first["annotations"], second["predictions"]) == ([], [])
    head, _, picture = first["data"]["image"].partition(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(picture)[1:4] == b"PNG"
    json.dumps([first, second])


def test_answers_go_out_and_come_back(cloud: Labelling) -> None:
    one, other = cloud.asked(2)
    cloud.labels.skip(one.id, "too dark", by="ann", now=NOW)
    cloud.labels.answer(one.id, "dog", by="bob", now=NOW)
    (finished,), _ = cloud.labels.to_label_studio("pets", TaskState.FINISHED)
    skipped, said = finished["annotations"]
    assert (skipped["was_cancelled"], skipped["result"]) == (True, [])
    assert said["result"][0]["value"] == {"choices": ["dog"]}
    assert said["created_username"] == "bob"
    data = json.dumps([finished, chosen(other.id, "eel")]).encode()
    assert cloud.labels.from_label_studio(data, by="ann", now=NOW) == Imported(taken=1, unchanged=1)
    again = cloud.labels.from_label_studio(data, by="ann", now=NOW)
    assert again == Imported(unchanged=2)
    assert cloud.labels.counts("pets").labels == {"dog": 1, "eel": 1}


def test_each_task_of_a_file_is_taken_or_refused_alone(cloud: Labelling) -> None:
    one, other, third = cloud.asked(3)
    cloud.labels.answer(third.id, "cat", by="ann", now=NOW)
    tasks = [
        chosen(one.id, "cow"),
        chosen(one.id, "cat", "dog"),
        chosen(one.id),
        chosen("unknown", "cat"),
        {"data": {}, "annotations": []},
        {"data": {"task": 7}},
        [],
        chosen(third.id, "dog"),
        chosen(one.id, "cat", was_cancelled=True),
        {"data": {"task": one.id}},
        chosen(other.id, "eel"),
    ]
    found = cloud.labels.from_label_studio(json.dumps(tasks).encode(), by="bob", now=NOW)
    assert (found.taken, found.unchanged) == (1, 2)
    assert [place for place, _ in found.refused] == list(range(8))
    assert "no class" in found.refused[0][1]
    assert "correct" not in found.refused[0][1]
    assert cloud.labels.task(one.id).state is TaskState.OPEN


def test_the_last_annotation_counts(cloud: Labelling) -> None:
    (task,) = cloud.asked()
    both = chosen(task.id, "cat")
    both["annotations"] += chosen(task.id, "dog")["annotations"]
    data = json.dumps([both]).encode()
    assert cloud.labels.from_label_studio(data, by="ann", now=NOW).taken == 1
    label = cloud.labels.task(task.id).label
    assert label is not None
    assert label.name == "dog"


def test_classes_without_names_travel_as_indices(cloud: Labelling) -> None:
    nameless = cloud.know(image_manifest(classes=()))
    (task,) = cloud.asked(bundle=nameless)
    (out,), _ = cloud.labels.to_label_studio("pets")
    assert out["predictions"][0]["result"][0]["value"] == {"choices": ["0"]}
    data = json.dumps([chosen(task.id, "7")]).encode()
    assert cloud.labels.from_label_studio(data, by="ann", now=NOW).taken == 1
    assert cloud.labels.counts("pets").labels == {"7": 1}


def test_a_large_picture_is_named_and_a_signal_has_none(cloud: Labelling) -> None:
    large = TensorSpec(name="image", dtype="uint8", shape=("batch", 400, 400))
    noise = np.random.default_rng(0).integers(0, 255, (1, 400, 400)).astype(np.uint8)
    cloud.arrive({"image": noise}, bundle=cloud.know(image_manifest(inputs=(large,))))
    signal = TensorSpec(name="x", dtype="float32", shape=("batch", 3))
    name = cloud.know(image_manifest(inputs=(signal,)))
    cloud.arrive({"x": np.zeros((1, 3), np.float32)}, bundle=name)
    cloud.labels.gather(NOW)
    tasks, _ = cloud.labels.to_label_studio("pets")
    assert sorted(str(task["data"]["image"]).partition("/tasks/")[0] for task in tasks) == [
        "/v1/labels",
        "None",
    ]


@pytest.mark.parametrize("data", [b"", b"{}", b"nonsense", b"\xff\xfe", b"[" * 100_000, b'["a"'])
def test_what_is_no_list_of_tasks_is_refused(data: bytes) -> None:
    with pytest.raises(DocumentError, match="no list"):
        read_tasks(data)


def test_files_are_bounded() -> None:
    assert len(read_tasks(b"[" + b"1," * (MAX_TASKS - 1) + b"1]")) == MAX_TASKS
    with pytest.raises(LimitExceededError, match=f"at most {MAX_TASKS}"):
        read_tasks(b"[" + b"1," * MAX_TASKS + b"1]")
    with pytest.raises(LimitExceededError, match="bytes"):
        read_tasks(b" " * (MAX_BYTES + 1))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["data", "task", "annotations", "result", "type", "value", "choices"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(st.lists(JSON, max_size=4))
def test_whatever_a_tool_writes_is_a_choice_or_a_fault(items: list[Any]) -> None:
    found = read_tasks(msgspec.json.encode(items))
    assert [one.place for one in found] == list(range(len(items)))
    assert all(one.choice is None or one.task for one in found)
    assert label_studio.TYPE == "choices"
