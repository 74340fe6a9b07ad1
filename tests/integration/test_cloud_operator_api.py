# SPDX-License-Identifier: Apache-2.0
"""What operators ask over HTTP: who may, what is answered, and what cannot be meant."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from insight_cloud.accounts.rules import Role
from insight_cloud.app.bounds import MAX_BYTES
from insight_cloud.platform.clock import now
from insight_edge.bundle.write import write_bundle
from insight_edge.documents.codec import digest
from tests.fakes.bundles import bundle_files, bundle_manifest
from tests.fakes.operators import DEVICE, MODEL, Operators, arrive, open_operators

DEVICE_DOOR = ("/v1/enrol", "/v1/tuf/", "/v1/blobs/", "/v1/samples")
TAGS = {"devices", "models", "releases", "telemetry", "labels", "jobs"}
LOOK, DO, RULE = Role.VIEWER, Role.OPERATOR, Role.ADMIN
ROUTES = {
    ("GET", "/v1/devices"): LOOK,
    ("GET", "/v1/devices/{device}"): LOOK,
    ("GET", "/v1/devices/{device}/timeline"): LOOK,
    ("PUT", "/v1/devices/{device}/deployments/{deployment}"): DO,
    ("PUT", "/v1/devices/{device}/deployments/{deployment}/challenger"): DO,
    ("DELETE", "/v1/devices/{device}/deployments/{deployment}/challenger"): DO,
    ("POST", "/v1/devices/{device}/renew"): DO,
    ("POST", "/v1/devices/{device}/retire"): DO,
    ("POST", "/v1/invitations"): DO,
    ("GET", "/v1/models"): LOOK,
    ("GET", "/v1/models/{model}/versions"): LOOK,
    ("GET", "/v1/models/{model}/versions/{which}"): LOOK,
    ("GET", "/v1/models/{model}/versions/{which}/artifacts/{name}"): LOOK,
    ("GET", "/v1/models/{model}/aliases"): LOOK,
    ("PUT", "/v1/models/{model}/aliases/{alias}"): DO,
    ("GET", "/v1/models/{model}/policy"): LOOK,
    ("PUT", "/v1/models/{model}/policy"): RULE,
    ("GET", "/v1/releases"): LOOK,
    ("POST", "/v1/releases"): DO,
    ("GET", "/v1/releases/{bundle}"): LOOK,
    ("GET", "/v1/releases/{bundle}/files/{name}"): LOOK,
    ("POST", "/v1/releases/{bundle}/approve"): DO,
    ("POST", "/v1/releases/{bundle}/revoke"): DO,
    ("GET", "/v1/telemetry/totals"): LOOK,
    ("GET", "/v1/telemetry/windows"): LOOK,
    ("GET", "/v1/telemetry/challenges"): LOOK,
    ("GET", "/v1/telemetry/samples"): LOOK,
    ("GET", "/v1/telemetry/quarantine"): LOOK,
    ("GET", "/v1/telemetry/joined"): LOOK,
    ("POST", "/v1/outcomes"): DO,
    ("GET", "/v1/labels/tasks"): LOOK,
    ("POST", "/v1/labels/tasks/next"): DO,
    ("GET", "/v1/labels/tasks/{task}"): LOOK,
    ("GET", "/v1/labels/tasks/{task}/input"): LOOK,
    ("GET", "/v1/labels/tasks/{task}/image"): LOOK,
    ("POST", "/v1/labels/tasks/{task}/answer"): DO,
    ("POST", "/v1/labels/tasks/{task}/correct"): DO,
    ("GET", "/v1/models/{model}/labels"): LOOK,
    ("PUT", "/v1/models/{model}/labels/reviews"): DO,
    ("GET", "/v1/models/{model}/labels/export"): LOOK,
    ("GET", "/v1/models/{model}/labels/label-studio"): LOOK,
    ("POST", "/v1/labels/label-studio"): DO,
    ("GET", "/v1/jobs"): LOOK,
    ("GET", "/v1/jobs/{job}"): LOOK,
    ("GET", "/v1/jobs/{job}/results"): LOOK,
    ("POST", "/v1/jobs/bench"): DO,
    ("POST", "/v1/jobs/{job}/withdraw"): DO,
    ("GET", "/v1/measurements"): LOOK,
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operators]:
    with open_operators(tmp_path_factory.mktemp("operators")) as made:
        yield made


def filled(world: Operators, path: str) -> str:
    names = {"device": DEVICE, "model": MODEL, "bundle": world.bundle, "task": world.task}
    names |= {"job": "bench-0"}
    names |= {"deployment": "default", "which": "1", "alias": "x", "name": "model.onnx"}
    return path.format(**names)


def test_every_route_is_in_the_table(world: Operators) -> None:
    found = {
        (method.upper(), path)
        for path, item in world.app.openapi()["paths"].items()
        for method, operation in item.items()
        if TAGS & set(operation.get("tags", ())) and not path.startswith(DEVICE_DOOR)
    }
    assert found == set(ROUTES)


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_nobody_does_more_than_their_role_allows(world: Operators, method: str, path: str) -> None:
    at = filled(world, path)
    for token in (None, "nonsense", world.secret):
        answer = world.ask(method, at, role=None, token=token)
        assert (answer.status, answer.json["kind"]) == (401, "UnauthenticatedError")
    needed = ROUTES[method, path]
    for role in Role:
        if not role.allows(needed):
            answer = world.ask(method, at, role=role)
            assert (answer.status, answer.json["kind"]) == (403, "ForbiddenError")


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_route_says_what_it_refuses(world: Operators, method: str, path: str) -> None:
    operation = world.app.openapi()["paths"][path][method.lower()]
    assert {"401", "403", "422"} <= set(operation["responses"])
    assert operation["description"]
    assert operation["security"]


def test_a_device_is_found_assigned_and_retired(world: Operators) -> None:
    page = world.ask("GET", "/v1/devices", role=LOOK, text="camera", retired="false").json
    assert [one["name"] for one in page["devices"]] == [DEVICE]
    assert (page["total"], page["after"]) == (1, None)
    assert world.ask("GET", "/v1/devices", online="true").json["devices"] == []
    path = f"/v1/devices/{DEVICE}"
    wanted = {"bundle": world.bundle}
    assigned = world.ask("PUT", f"{path}/deployments/default", wanted, role=DO)
    assert (assigned.status, assigned.json) == (200, {"revision": 1})
    assert world.ask("POST", f"{path}/renew", role=DO).json == {"revision": 2}
    found = world.ask("GET", path, role=LOOK).json
    assert found["wanted"]["deployments"]["default"]["bundle"] == world.bundle
    assert found["standing"][0]["why_not_updated"].endswith(".")
    assert found["facts"]["arch"]
    assert [e["kind"] for e in world.ask("GET", f"{path}/timeline", limit=2).json] == [
        "desired"
    ] * 2
    unknown = world.ask("PUT", f"{path}/deployments/default", {"bundle": digest(b"")}, role=DO)
    assert unknown.status == 404
    invited = world.ask("POST", "/v1/invitations", {"device": "spare-1", "hours": 1}, role=DO)
    assert invited.status == 201
    assert len(invited.json["token"]) > 40
    assert world.ask("POST", "/v1/invitations", {"device": "No Name"}, role=DO).status == 422
    actions = {(e.by, e.action, e.subject) for e in world.cloud.accounts.audit(limit=1000)}
    assert {
        ("kim", "device.assign", DEVICE),
        ("kim", "device.invite", "spare-1"),
        (f"device {DEVICE}", "device.enrol", DEVICE),
    } <= actions


def test_a_retired_device_is_gone_for_good(tmp_path: Path) -> None:
    with open_operators(tmp_path) as world:
        path = f"/v1/devices/{DEVICE}"
        assert world.ask("POST", f"{path}/retire", role=DO).status == 204
        assert world.ask("GET", "/v1/devices").json["total"] == 0
        assert world.ask("GET", "/v1/devices", retired="true").json["total"] == 1
        late = world.ask("PUT", f"{path}/deployments/default", {"bundle": world.bundle}, role=DO)
        assert (late.status, late.json["kind"]) == (409, "ConflictError")


def test_a_model_is_looked_into_and_its_files_fetched(world: Operators) -> None:
    assert world.ask("GET", "/v1/models", role=LOOK).json["models"][0] | {"created": ""} == {
        "name": MODEL,
        "task": "images",
        "created": "",
        "versions": 1,
    }
    path = f"/v1/models/{MODEL}"
    assert world.ask("PUT", f"{path}/aliases/best", {"version": 1}, role=DO).json == {"best": 1}
    assert world.ask("GET", f"{path}/aliases").json == {"best": 1}
    assert world.ask("GET", f"{path}/versions/best").json["number"] == 1
    assert world.ask("GET", f"{path}/versions", after=1).json == {"versions": [], "after": None}
    assert world.ask("PUT", f"{path}/aliases/best", {"version": 9}, role=DO).status == 404
    assert world.ask("PUT", f"{path}/aliases/7", {"version": 1}, role=DO).status == 422
    file = world.ask("GET", f"{path}/versions/best/artifacts/model.onnx", role=LOOK)
    assert file.body == b"onnx"
    assert file.headers["content-length"] == "4"
    assert file.headers["content-disposition"] == 'attachment; filename="model.onnx"'
    assert file.headers["etag"] == f'"{digest(b"onnx")}"'
    large = bytes(range(256)) * 10_000
    artifacts = {"model.onnx": b"second", "large.bin": large}
    world.cloud.registry.register(
        MODEL, task="images", artifacts=artifacts, metrics={}, by="Ada", now=now()
    )
    second = world.ask("GET", f"{path}/versions/2/artifacts/large.bin", role=LOOK)
    assert (second.body == large, second.headers["content-length"]) == (True, "2560000")
    one = world.ask("GET", f"{path}/versions", limit=1).json
    assert (one["versions"][0]["number"], one["after"]) == (1, 1)
    for missing in ("3", "worst", "1/artifacts/x", "9" * 30):
        assert world.ask("GET", f"{path}/versions/{missing}").status == 404


def zipped(folder: Path, **more: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
        for name, data in more.items():
            archive.writestr(name, data)
    return packed.getvalue()


def test_a_bundle_is_uploaded_waits_and_is_decided_about(world: Operators, tmp_path: Path) -> None:
    files = bundle_files(b"uploaded")
    bundle = write_bundle(tmp_path / "b", bundle_manifest(files), files)
    assert world.ask("PUT", "/v1/models/fake/policy", {"mode": "human"}, role=RULE).status == 200
    assert world.ask("GET", "/v1/models/fake/policy", role=LOOK).json == {"mode": "human"}
    made = world.ask("POST", "/v1/releases", raw=zipped(tmp_path / "b"), role=DO)
    assert (made.status, made.json["bundle"], made.json["state"]) == (201, bundle, "pending")
    path = f"/v1/releases/{bundle}"
    assigned = {"bundle": bundle}
    early = world.ask("PUT", f"/v1/devices/{DEVICE}/deployments/default", assigned, role=DO)
    assert (early.status, early.json["kind"]) == (409, "ConflictError")
    assert world.ask("POST", f"{path}/approve", role=DO).json["decided_by"] == "kim"
    assert world.ask("GET", "/v1/releases", model="fake", state="listed").json["total"] == 1
    first = world.ask("GET", "/v1/releases", limit=1).json
    second = world.ask("GET", "/v1/releases", after=first["after"]).json
    assert {one["releases"][0]["bundle"] for one in (first, second)} == {bundle, world.bundle}
    assert world.ask("GET", path).json["manifest"]["model"]["name"] == "fake"
    assert world.ask("GET", f"{path}/files/model.onnx", role=LOOK).body == b"uploaded"
    manifest = world.ask("GET", f"{path}/files/manifest.json", role=LOOK)
    assert digest(manifest.body) == bundle
    assert world.ask("GET", f"{path}/files/nothing").status == 404
    assert world.ask("POST", f"{path}/revoke", role=DO).json["state"] == "revoked"
    assert world.ask("POST", f"{path}/approve", role=DO).status == 409
    actions = {(e.by, e.action) for e in world.cloud.accounts.audit(limit=1000)}
    for action in ("policy", "publish", "approve", "revoke"):
        assert ("kim", f"release.{action}") in actions


def test_what_is_no_bundle_is_not_published(world: Operators, tmp_path: Path) -> None:
    files = bundle_files(b"damaged")
    write_bundle(tmp_path / "b", bundle_manifest(files), files)
    (tmp_path / "b" / "model.onnx").write_bytes(b"changed")
    before = world.ask("GET", "/v1/releases").json["total"]
    for data in (
        b"",
        b"nonsense",
        zipped(tmp_path / "b"),
        zipped(tmp_path / "b", **{"../x": b"outside"}),
        zipped(tmp_path / "b", **{"a/b": b"below"}),
        zipped(tmp_path / "b", **{f"f{n}": b"" for n in range(70)}),
    ):
        answer = world.ask("POST", "/v1/releases", raw=data, role=DO)
        assert answer.status in {413, 422}
        assert "\n" not in answer.json["detail"]
    assert world.ask("GET", "/v1/releases").json["total"] == before
    assert not (tmp_path / "x").exists()


def test_outcomes_are_taken_late_in_any_order_and_once(world: Operators) -> None:
    arrive(world.cloud, world.bundle, 50)
    result = f"{DEVICE}/default/1/50"
    early, late = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00+02:00"
    given = [
        {"id": result, "label": "dog", "at": late},
        {"id": result, "label": "cat", "at": early},
        {"device": DEVICE, "deployment": "default", "key": "order-50", "label": 0.25, "at": early},
        {"label": 1},
        {"id": "not an id", "label": 1},
        {"id": "Camera/default/1/1", "label": 1},
        {"device": DEVICE, "key": "x", "label": 1},
    ]
    answer = world.ask("POST", "/v1/outcomes", {"outcomes": given}, role=DO)
    assert (answer.status, answer.json["taken"], answer.json["known"]) == (200, 2, 1)
    assert [one["place"] for one in answer.json["refused"]] == [3, 4, 5, 6]
    again = world.ask("POST", "/v1/outcomes", {"outcomes": given}, role=DO)
    assert (again.json["taken"], again.json["known"]) == (0, 3)
    taken = [e for e in world.cloud.accounts.audit(limit=1000) if e.action == "outcome.take"]
    assert [(e.by, e.detail) for e in taken] == [("kim", "2 outcomes, 1 known already")]
    hours = world.ask("GET", "/v1/telemetry/joined", bundle=world.bundle).json
    assert sum(hour["outcomes"] for hour in hours) >= 1


def test_ten_thousand_outcomes_are_taken_and_no_more(world: Operators) -> None:
    many = [{"id": f"far-1/default/1/{n}", "label": n % 10} for n in range(10_001)]
    answer = world.ask("POST", "/v1/outcomes", {"outcomes": many[:10_000]}, role=DO)
    assert (answer.status, answer.json["taken"]) == (200, 10_000)
    assert world.ask("POST", "/v1/outcomes", {"outcomes": many}, role=DO).status == 422


@pytest.mark.parametrize(
    ("label", "status"),
    [
        (True, 422),
        (None, 422),
        ([], 422),
        ("x" * 201, 422),
        (2**60, 200),
        (1.5, 200),
        ("", 200),
        (10**400, 422),
    ],
)
def test_a_label_is_a_number_or_a_text(world: Operators, label: Any, status: int) -> None:
    given = {"outcomes": [{"id": f"{DEVICE}/default/9/9", "label": label}]}
    assert world.ask("POST", "/v1/outcomes", given, role=DO).status == status


def test_what_was_counted_is_looked_at_within_bounds(world: Operators) -> None:
    assert world.ask("GET", "/v1/telemetry/totals", role=LOOK).json["total"] == 0
    spans = {"2026-11-01T00:00:00": 422, "2026-11-20": 200, "0001-01-01": 422, "x": 422}
    for since, status in spans.items():
        answer = world.ask("GET", "/v1/telemetry/totals", since=since, until="2026-11-21")
        assert answer.status == status
    path = "/v1/telemetry/totals"
    month = world.ask("GET", path, since="2026-11-01", until="2026-11-21", device=DEVICE)
    assert month.status == 200
    assert world.ask("GET", "/v1/telemetry/windows", device=DEVICE).json == []
    assert world.ask("GET", "/v1/telemetry/challenges", device=DEVICE).json == []
    assert world.ask("GET", "/v1/telemetry/quarantine").json == []
    samples = world.ask("GET", "/v1/telemetry/samples", state="uploaded").json
    assert samples[0]["outputs"] == {"y": [0.9, 0.1]}


@pytest.mark.parametrize(
    "raw", [b"{", b"\xff\xfe", b"[]", b"null", b'"x"', b"{" * 100_000, b'{"hours": "NaN"}']
)
def test_a_body_that_cannot_be_read_is_one_line(world: Operators, raw: bytes) -> None:
    answer = world.ask("POST", "/v1/invitations", raw=raw, role=DO)
    assert (answer.status, answer.json["kind"]) == (422, "DocumentError")
    assert 0 < len(answer.json["detail"]) < 320
    assert "\n" not in answer.json["detail"]


def test_a_body_is_bounded_whatever_the_headers_say(world: Operators) -> None:
    large = b" " * (MAX_BYTES + 1)
    answer = world.ask("POST", "/v1/outcomes", raw=large, role=DO)
    assert (answer.status, answer.json["kind"]) == (413, "LimitExceededError")
    lying = world.ask("POST", "/v1/outcomes", raw=large, role=DO, claimed_bytes=2)
    assert (lying.status, lying.json) == (413, answer.json)
    odd = world.ask("POST", "/v1/outcomes", raw=b"{}", role=DO, claimed_bytes=-1)
    assert odd.status == 413
    most = json.dumps({"outcomes": []}).encode().ljust(MAX_BYTES)
    assert world.ask("POST", "/v1/outcomes", raw=most, role=DO).status == 200


def test_an_unknown_address_is_a_problem_too(world: Operators) -> None:
    assert world.ask("GET", "/v1/nothing").json["kind"] == "NotFoundError"
    assert world.ask("DELETE", "/v1/devices").status == 405
