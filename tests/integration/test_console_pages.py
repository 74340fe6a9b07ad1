# SPDX-License-Identifier: Apache-2.0
"""Every page of the console over a real socket: empty, filled, hostile, and who may do what."""

import hashlib
import html
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from insight_cloud.console.assets import STATIC
from insight_cloud.releases.rules import State
from insight_cloud.rollouts.rollout import State as RolloutState
from tests.fakes.cloud import open_cloud
from tests.fakes.console_model import MODEL
from tests.fakes.console_server import Visitor, served_console
from tests.fakes.console_world import (
    ADMIN,
    DEPLOYMENT,
    HOSTILE,
    OPERATOR,
    PASSWORD,
    PROFILES,
    VIEWER,
    ConsoleWorld,
    cloud_of,
    filled_world,
    people_of,
)

LISTS = (
    "/", "/devices", "/models", "/drift", "/labelling", "/rollouts", "/pipelines", "/jobs",
    "/builds", "/audit", "/users",
)  # fmt: skip
FORMS = (
    "/devices/x/assign", "/devices/x/challenge", "/devices/x/renew", "/devices/x/retire",
    "/bundles/x/approve",
    "/bundles/x/revoke", "/alarms/1/acknowledge", "/labelling/tasks/x", "/rollouts",
    "/rollouts/1/pause", "/pipelines", "/pipelines/x/cancel", "/jobs", "/jobs/x/withdraw",
)  # fmt: skip
ADMIN_FORMS = (
    "/users", "/users/x/role", "/users/x/disable", "/users/x/enable", "/tokens", "/tokens/x/revoke",
)  # fmt: skip
MANY = 10_000


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    """Nothing but people."""
    with open_cloud(tmp_path_factory.mktemp("empty")) as cloud:
        people_of(cloud)
        with served_console(cloud) as (visitor, _):
            visitor.sign_in(ADMIN, PASSWORD)
            yield visitor


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[ConsoleWorld, Visitor]]:
    """A working day in which everybody writes what they should not."""
    with (
        filled_world(tmp_path_factory.mktemp("filled"), HOSTILE) as world,
        served_console(cloud_of(world)) as (visitor, _),
    ):
        visitor.sign_in(ADMIN, PASSWORD)
        yield world, visitor


@pytest.fixture
def world(served: tuple[ConsoleWorld, Visitor]) -> ConsoleWorld:
    return served[0]


@pytest.fixture
def admin(served: tuple[ConsoleWorld, Visitor]) -> Visitor:
    return served[1]


def signed_in(visitor: Visitor, name: str) -> Visitor:
    other = Visitor(visitor.port)
    assert other.sign_in(name, PASSWORD).status == 303
    return other


def pages_of(world: ConsoleWorld) -> tuple[str, ...]:
    bundle = world.bundles[2, PROFILES[0]]
    return (
        *LISTS, f"/devices/{world.names[0]}", f"/models/{MODEL}", f"/models/{MODEL}/2",
        f"/bundles/{bundle}", f"/drift/{bundle}", f"/rollouts/{world.rollout}",
        f"/pipelines/{world.run}", f"/jobs/{world.job}",
        f"/bundles/{world.bundles[3, PROFILES[0]]}",
        "/devices?text=line-2&online=yes", "/audit?action=user",
    )  # fmt: skip


@pytest.mark.parametrize("path", LISTS)
def test_page_of_an_empty_installation_says_what_to_do(empty: Visitor, path: str) -> None:
    answer = empty.get(path)
    assert answer.status == 200
    assert "<h1>" in answer.text
    if path not in {"/audit", "/users", "/drift"}:
        assert 'class="empty"' in answer.text


@pytest.mark.parametrize("path", LISTS)
def test_nobody_sees_anything_without_signing_in(empty: Visitor, path: str) -> None:
    answer = Visitor(empty.port).get(path)
    assert answer.status == 303
    assert answer.headers["location"].startswith("/login?next=")
    assert b"<table" not in answer.body


def test_signing_in_leads_back_and_out_again(empty: Visitor) -> None:
    visitor = Visitor(empty.port)
    page = visitor.get("/login?next=/devices")
    assert 'value="/devices"' in page.text
    assert "first-password" in page.text
    assert visitor.sign_in(VIEWER, "wrong wrong wrong").status == 401
    assert visitor.cookie == ""
    assert visitor.sign_in(VIEWER, PASSWORD).headers["location"] == "/devices"
    assert visitor.get("/devices").status == 200
    assert visitor.post("/logout").headers["location"] == "/login"
    assert visitor.get("/devices").status == 303


@pytest.mark.parametrize("away", ["https://elsewhere.example/", "//elsewhere.example", "/\\x"])
def test_signing_in_leads_to_no_other_site(empty: Visitor, away: str) -> None:
    fields = {"name": VIEWER, "password": PASSWORD, "next": away}
    assert Visitor(empty.port).post("/login", fields).headers["location"] == "/"


@pytest.mark.parametrize("path", [*FORMS, *ADMIN_FORMS])
def test_viewer_changes_nothing(admin: Visitor, path: str) -> None:
    assert signed_in(admin, VIEWER).post(path).status == 403


@pytest.mark.parametrize("path", ["/users", *ADMIN_FORMS])
def test_operator_does_not_look_after_users(admin: Visitor, path: str) -> None:
    visitor = signed_in(admin, OPERATOR)
    answer = visitor.get(path) if path == "/users" else visitor.post(path)
    assert answer.status == 403


def test_viewer_sees_no_form_that_is_refused_anyway(world: ConsoleWorld, admin: Visitor) -> None:
    visitor = signed_in(admin, VIEWER)
    for path in pages_of(world):
        answer = visitor.get(path)
        if path.startswith(("/audit", "/users")):
            assert answer.status == 403
            continue
        actions = set(re.findall(r'(?:form)?action="([^"]*)"', answer.text))
        methods = re.findall(r'method="post" action="([^"]*)"', answer.text)
        assert methods == ["/logout"], (path, actions)


@pytest.mark.parametrize("path", FORMS)
def test_no_other_site_changes_anything_with_our_cookie(admin: Visitor, path: str) -> None:
    other = Visitor(admin.port, admin.cookie, site="cross-site")
    assert other.post(path).status == 403
    assert Visitor(admin.port, site="cross-site").post("/login", {"name": ADMIN}).status == 403


def test_what_others_write_is_text_on_every_page(world: ConsoleWorld, admin: Visitor) -> None:
    told = 0
    for path in pages_of(world):
        answer = admin.get(path)
        assert answer.status == 200, path
        assert "<script>alert" not in answer.text, path
        told += "&lt;script&gt;alert(1)" in answer.text
    assert told >= 7  # where it is not there at all nothing was shown


def test_pages_have_no_script_and_no_style_of_their_own(
    world: ConsoleWorld, admin: Visitor
) -> None:
    for path in pages_of(world):
        page = admin.get(path)
        assert re.search(r"<script(?![^>]*src=)", page.text) is None, path
        assert re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:|hx-on", page.text) is None, path
        assert "unsafe" not in page.headers["content-security-policy"]
        assert page.headers["cache-control"] == "no-store"
        assert re.search(r'(?:src|href|action)="(?:https?:)?//', page.text) is None, path


def test_faults_are_pages_without_a_trace(world: ConsoleWorld, admin: Visitor) -> None:
    bundle = world.bundles[2, PROFILES[0]]
    for path, status in (
        ("/nowhere", 404), ("/devices/nobody", 404), ("/models/none", 404), ("/bundles/none", 404),
        ("/models/digits/99", 404), ("/models/digits/x", 422), ("/rollouts/x", 422),
        ("/rollouts/99", 404), ("/jobs/none", 404),
        ("/pipelines/none", 404), ("/labelling/tasks/x/image", 404),
    ):  # fmt: skip
        answer = admin.get(path)
        assert (answer.status, "Traceback" in answer.text) == (status, False), path
        assert "<h1>" in answer.text
    assert admin.get(f"/drift/{bundle[:-1]}0").status == 200
    assert admin.get("/nowhere", accept="application/json").headers["content-type"] == (
        "application/json"
    )


def test_what_cannot_be_foreseen_has_a_reference(
    world: ConsoleWorld, admin: Visitor, caplog: pytest.LogCaptureFixture
) -> None:
    with world.cloud.database.write() as session:
        kept = session.scalar(text("SELECT policy FROM pipelines_run"))
        session.execute(text("UPDATE pipelines_run SET policy = '[]'"))
    try:
        answer = admin.get("/pipelines")
    finally:
        with world.cloud.database.write() as session:
            session.execute(text("UPDATE pipelines_run SET policy = :kept"), {"kept": kept})
    reference = re.search(r"under the reference ([0-9a-f]{8})", answer.text)
    assert reference is not None
    assert (answer.status, "Traceback" in answer.text) == (500, False)
    assert f"reference {reference[1]}" in caplog.text
    assert admin.get("/pipelines").status == 200


def test_forms_are_read_within_bounds(admin: Visitor) -> None:
    assert admin.post("/rollouts", {"reason": "x" * 3000}).status == 413
    assert admin.post("/rollouts", {f"f{i}": "x" * 900 for i in range(90)}).status == 413
    assert admin.post("/rollouts", {"version": "digits:x", "deployment": "camera"}).status == 422
    assert admin.post("/rollouts", {"version": "digits:9", "deployment": "camera"}).status == 404
    fields = {"version": "digits:3", "deployment": "camera", "soak_s": "nan"}
    assert admin.post("/rollouts", fields).status == 422


def test_changes_go_through_the_services_and_are_audited(
    world: ConsoleWorld, admin: Visitor
) -> None:
    name, wanted = world.names[6], world.bundles[1, PROFILES[0]]
    operator = signed_in(admin, OPERATOR)
    fields = {"deployment": DEPLOYMENT, "bundle": wanted}
    assert operator.post(f"/devices/{name}/assign", fields).status == 303
    desired = world.cloud.devices.desired(name)
    assert desired is not None
    assert (desired.deployments[DEPLOYMENT].bundle, desired.by) == (wanted, OPERATOR)
    foreign = {"deployment": DEPLOYMENT, "bundle": world.bundles[1, PROFILES[1]]}
    assert operator.post(f"/devices/{name}/assign", foreign).status == 409
    assert operator.post(f"/devices/{name}/challenge", foreign).status == 409
    beside = {"deployment": DEPLOYMENT, "bundle": world.bundles[2, PROFILES[0]]}
    assert operator.post(f"/devices/{name}/challenge", beside).status == 303
    assert "not told yet" in operator.get(f"/devices/{name}").text
    assert operator.post(f"/devices/{name}/challenge", {"deployment": DEPLOYMENT}).status == 303
    assert "not told yet" not in operator.get(f"/devices/{name}").text
    assert operator.post(f"/devices/{name}/retire", {"confirm": "yes"}).status == 409
    assert world.cloud.devices.device(name).retired is None
    assert operator.post(f"/devices/{name}/retire", {"confirm": name}).status == 303
    assert world.cloud.devices.device(name).retired is not None
    page = operator.get(f"/audit?by={OPERATOR}").text
    assert name in page


def test_rollout_is_steered(world: ConsoleWorld, admin: Visitor) -> None:
    path = f"/rollouts/{world.rollout}"
    assert admin.post(f"{path}/resume").status == 409
    assert admin.post(f"{path}/dance").status == 404
    assert admin.post(f"{path}/pause", {"reason": "lunch <b>"}).status == 303
    rollout = world.cloud.rollouts.get(world.rollout)
    assert rollout.state is RolloutState.PAUSED
    assert "lunch &lt;b&gt;" in admin.get(path).text
    assert "is paused" in admin.get("/").text
    assert admin.post(f"{path}/resume", {"waive": "yes"}).status == 303
    assert world.cloud.rollouts.get(world.rollout).waived


def test_bundle_is_measured_and_that_taken_back(world: ConsoleWorld, admin: Visitor) -> None:
    operator, bundle = signed_in(admin, OPERATOR), world.bundles[2, PROFILES[0]]
    fields = {"bundle": bundle, "rounds": "7", "limit_min": "5", "devices": "2", "when": "now"}
    made = operator.post("/jobs", fields)
    assert made.status == 303
    path = made.headers["location"].partition("?")[0]
    job = world.cloud.jobs.get(path.removeprefix("/jobs/"))
    assert (job.by, job.terms.rounds, job.terms.limit_s, job.terms.when) == (
        OPERATOR,
        7,
        300,
        "now",
    )
    names = [one.device for one in world.cloud.jobs.members(job.id)]
    assert len(names) == 2
    for shown in (path, f"/bundles/{bundle}", f"/devices/{names[0]}", "/jobs"):
        assert job.id in operator.get(shown).text
    assert operator.post(f"{path}/withdraw", {"reason": "lunch"}).status == 303
    assert operator.post(f"{path}/withdraw").status == 409
    for changes, status in (
        ({"bundle": "sha256:0"}, 404),
        ({"bundle": ""}, 422),
        ({"rounds": "many"}, 422),
        ({"rounds": "0"}, 422),
        ({"devices": "0"}, 422),
        ({"limit_min": "9999999"}, 422),
        ({"text": "nobody"}, 404),
    ):
        assert operator.post("/jobs", fields | changes).status == status, changes


def test_bundle_is_revoked_only_on_purpose(world: ConsoleWorld, admin: Visitor) -> None:
    bundle = world.bundles[1, PROFILES[2]]
    path = f"/bundles/{bundle}"
    assert admin.post(f"{path}/revoke").status == 409
    assert admin.post(f"{path}/revoke", {"confirm": "revoke"}).status == 303
    assert world.cloud.releases.release(bundle).state is State.REVOKED
    assert "Revoked by kim" in admin.get(path).text
    assert admin.post(f"{path}/approve").status == 409


def test_alarm_is_acknowledged_with_a_reason(world: ConsoleWorld, admin: Visitor) -> None:
    alarm = world.cloud.monitoring.alarms()[0]
    page = admin.get(f"/drift/{alarm.bundle}").text
    assert html.escape(alarm.sentence)[:40] in page
    path = f"/alarms/{alarm.id}/acknowledge"
    assert admin.post(path).status == 422
    assert admin.post(path, {"reason": "the light was off"}).status == 303
    assert world.cloud.monitoring.alarm(alarm.id).closed_by == ADMIN


def test_label_is_asked_without_leading_and_told_afterwards(
    world: ConsoleWorld, admin: Visitor
) -> None:
    operator = signed_in(admin, OPERATOR)
    page = operator.get("/labelling").text
    task = re.search(r'data-sample="([0-9a-f]+)"', page)
    assert task is not None
    form = page.partition("labelling_card")[0].partition("<form method")[2]
    assert "had said" not in page
    assert "confidence" not in form
    picture = operator.get(f"/labelling/tasks/{task[1]}/image")
    assert picture.body.startswith(b"\x89PNG")
    before = world.cloud.labels.counts(MODEL).states
    answer = operator.post(f"/labelling/tasks/{task[1]}", {"answer": "class-3"}, hx_request="true")
    assert answer.status == 200
    assert "You said 3" in answer.text
    assert task[1] not in answer.text
    assert world.cloud.labels.counts(MODEL).states != before
    assert world.cloud.labels.task(task[1]).label_by == OPERATOR
    again = operator.post(f"/labelling/tasks/{task[1]}", {"answer": "class-4"}, hx_request="true")
    assert again.status == 409
    assert "<html" not in again.text
    assert operator.post(f"/labelling/tasks/{task[1]}", {"answer": "class-"}).status == 422


def test_token_is_shown_once(admin: Visitor) -> None:
    made = admin.post("/tokens", {"name": HOSTILE, "role": "viewer", "days": "3"})
    secret = re.search(r"<code>([\w-]{30,})</code>", made.text)
    assert secret is not None
    page = admin.get("/users")
    assert secret[1] not in page.text
    assert "<script>alert" not in page.text
    told = Visitor(admin.port).get("/v1/me", authorization=f"Bearer {secret[1]}")
    assert told.status == 200
    assert admin.post("/tokens", {"name": "x", "role": "emperor"}).status == 422
    assert admin.post("/tokens", {"name": "x", "role": "viewer", "days": "99999"}).status == 422


def test_user_is_added_and_disabled(admin: Visitor) -> None:
    fields = {"name": "new", "password": PASSWORD, "role": "viewer"}
    assert admin.post("/users", fields).status == 303
    assert admin.post("/users", fields).status == 409
    visitor = signed_in(admin, "new")
    assert admin.post("/users/new/role", {"role": "operator"}).status == 303
    assert visitor.get("/audit").status == 200
    assert admin.post("/users/new/disable").status == 303
    assert visitor.get("/devices").status == 303
    assert admin.post("/users/new/enable").status == 303
    assert admin.post(f"/users/{ADMIN}/disable").status == 403


def test_run_is_opened_and_cancelled(world: ConsoleWorld, admin: Visitor) -> None:
    assert admin.post("/pipelines", {"model": MODEL}).status == 409
    assert admin.post("/pipelines", {"model": "none"}).status == 404
    assert admin.post(f"/pipelines/{world.run}/cancel").status == 303
    assert world.cloud.pipelines.run(world.run).cancelled_by == ADMIN


def test_fleet_is_filtered_and_a_part_of_it_is_a_part(world: ConsoleWorld, admin: Visitor) -> None:
    part = admin.get("/devices?text=line-4", hx_request="true")
    assert "<html" not in part.text
    assert (part.text.count('<th scope="row"'), part.headers["vary"]) == (6, "HX-Request")
    held = admin.get("/devices?held=yes").text
    assert world.names[-2] in held
    assert world.names[0] not in held
    assert "No device is like that" in admin.get("/devices?text=zzz").text
    assert admin.get("/devices?online=perhaps&after=&behind=%00").status == 200


def test_ten_thousand_devices_are_a_small_page(tmp_path: Path) -> None:
    with open_cloud(tmp_path) as cloud:
        people_of(cloud)
        world = ConsoleWorld(cloud=cloud, digits=None)  # type: ignore[arg-type]
        world.join("a-camera", PROFILES[0])
        with cloud.database.write() as session:
            columns = [row[1] for row in session.execute(text("PRAGMA table_info(devices_device)"))]
            chosen = ", ".join(
                "printf('camera-%05d', n)" if name == "name"
                else "printf('%064d', n)" if name == "secret_hash"
                else name
                for name in columns
            )  # fmt: skip
            counted = "counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < :most)"
            copied = f"INTO devices_device ({', '.join(columns)}) SELECT {chosen}"
            made = f"WITH RECURSIVE {counted} INSERT {copied} FROM devices_device, counted"
            session.execute(text(made), {"most": MANY - 1})
        with served_console(cloud) as (visitor, _):
            visitor.sign_in(ADMIN, PASSWORD)
            page = visitor.get("/devices")
            assert len(page.body) < 60_000
            assert page.text.count('<th scope="row"') == 50
            assert f"{MANY:,}".replace(",", "\u202f") in page.text
            following = re.search(r'rel="next" href="([^"]+)"', page.text)
            assert following is not None
            second = visitor.get(html.unescape(following[1]))
            assert "camera-00050" in second.text
            assert "camera-00049" not in second.text
            last = visitor.get("/devices?after=camera-09990").text
            assert 'rel="next"' not in last
            assert last.count('<th scope="row"') == 9


def test_files_of_others_are_those_that_were_taken() -> None:
    told = (STATIC / "vendor" / "VENDORED.md").read_text()
    rows = re.findall(r"^\| `([\w.-]+)` .* `([0-9a-f]{64})` \|$", told, re.MULTILINE)
    found = {path.name: path.read_bytes() for path in (STATIC / "vendor").glob("*.js")}
    assert {name for name, _ in rows} == set(found)
    for name, digest in rows:
        assert hashlib.sha256(found[name]).hexdigest() == digest, name
    for licence in re.findall(r"\((licences/[\w.-]+)\)", told):
        assert (STATIC / "vendor" / licence).stat().st_size > 100


def test_files_are_kept_for_ever_under_their_digest(empty: Visitor) -> None:
    page = Visitor(empty.port).get("/login").text
    places = re.findall(r'(?:src|href)="(/static/[^"]+)"', page)
    assert len(places) >= 5
    for place in places:
        answer = Visitor(empty.port).get(place)
        digest = place.split("/")[2]
        assert answer.status == 200
        assert hashlib.sha256(answer.body).hexdigest().startswith(digest)
        assert "immutable" in answer.headers["cache-control"]
    assert Visitor(empty.port).get("/static/0000000000000000/console.css").status == 404
    assert Visitor(empty.port).get("/static/../../router.py").status == 404
    assert Visitor(empty.port).get("/favicon.ico").headers["content-type"] == "image/svg+xml"


def test_theme_is_one_of_ours(empty: Visitor) -> None:
    dark = Visitor(empty.port, cookie="theme=dark").get("/login").text
    assert 'data-theme="dark"' in dark
    other = Visitor(empty.port, cookie='theme="><script>').get("/login").text
    assert "data-theme" not in other
