# SPDX-License-Identifier: Apache-2.0
"""Labels over HTTP: the queue, the inputs, people's answers, and Label Studio."""

from collections.abc import Iterator

import numpy as np
import pytest

from insight_cloud.accounts.rules import Role
from insight_edge.bundle.npz import arrays_from_npz
from tests.fakes.operators import CLASSES, MODEL, Operators, arrive, open_operators

LOOK, DO = Role.VIEWER, Role.OPERATOR


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operators]:
    with open_operators(tmp_path_factory.mktemp("operators")) as made:
        yield made


def test_a_task_is_looked_at_answered_and_corrected(world: Operators) -> None:
    task = arrive(world.cloud, world.bundle, 70).id
    path = f"/v1/labels/tasks/{task}"
    assert task in {
        t["id"] for t in world.ask("GET", "/v1/labels/tasks", model=MODEL).json["tasks"]
    }
    shown = world.ask("GET", f"{path}/input", role=LOOK).json
    assert shown["image"]["shape"] == [1, 8, 8]
    assert shown["image"]["values"][0][0] == [70] * 8
    picture = world.ask("GET", f"{path}/image", role=LOOK)
    assert picture.headers["content-type"] == "image/png"
    assert picture.body.startswith(b"\x89PNG")
    assert world.ask("GET", f"{path}/image", input="other").status == 404
    for wrong in ({}, {"label": "cow"}, {"label": True}, {"label": "cat", "kind": "skip"}):
        assert world.ask("POST", f"{path}/answer", wrong, role=DO).status == 422
    done = world.ask("POST", f"{path}/answer", {"label": "cat"}, role=DO)
    assert done.json["label"] == {"index": 0, "name": "cat"}
    assert world.ask("POST", f"{path}/answer", {"label": "dog"}, role=DO).status == 409
    skip = {"kind": "skip", "reason": "why"}
    assert world.ask("POST", f"{path}/correct", skip, role=DO).status == 422
    world.ask("POST", f"{path}/correct", {"label": 1, "reason": "looked again"}, role=DO)
    detail = world.ask("GET", path, role=LOOK).json
    assert [one["label"]["name"] for one in detail["answers"]] == ["cat", "dog"]
    assert detail["classes"] == list(CLASSES)
    assert world.ask("GET", f"/v1/models/{MODEL}/labels").json["labels"]["dog"] >= 1
    export = world.ask("GET", f"/v1/models/{MODEL}/labels/export", role=LOOK)
    arrays = arrays_from_npz(export.body, max_bytes=10**6, max_arrays=9)
    assert arrays["labels"].dtype == np.int64


def test_the_next_task_is_given_until_none_is_left(world: Operators) -> None:
    arrive(world.cloud, world.bundle, 71)
    while (given := world.ask("POST", "/v1/labels/tasks/next", {"model": MODEL}, role=DO).json)[
        "task"
    ]:
        path = f"/v1/labels/tasks/{given['task']['id']}/answer"
        said = {"kind": "unusable", "reason": "the lens is covered"}
        assert world.ask("POST", path, said, role=DO).json["state"] == "unusable"
    assert world.ask("POST", "/v1/labels/tasks/next", {}, role=DO).json == {"task": None}


def test_tasks_travel_to_label_studio_and_back(world: Operators) -> None:
    arrive(world.cloud, world.bundle, 72)
    page = world.ask("GET", f"/v1/models/{MODEL}/labels/label-studio", role=LOOK, limit=1)
    (task,) = page.json
    choice = {"type": "choices", "from_name": "label", "value": {"choices": ["dog"]}}
    task["annotations"] = [{"result": [choice]}]
    task["id"] = 17
    done = world.ask("POST", "/v1/labels/label-studio", [task, {"data": {}}], role=DO)
    assert (done.json["taken"], [one["place"] for one in done.json["refused"]]) == (1, [1])
    assert world.ask("POST", "/v1/labels/label-studio", [{}] * 1001, role=DO).status == 422


def test_a_second_opinion_is_asked_for(world: Operators) -> None:
    answer = world.ask("PUT", "/v1/models/other/labels/reviews", {"reviews": 2}, role=DO)
    assert (answer.status, answer.json["reviews"]) == (200, 2)
    assert (
        world.ask("PUT", "/v1/models/other/labels/reviews", {"reviews": 9}, role=DO).status == 422
    )
