# SPDX-License-Identifier: Apache-2.0
"""What a doctor says of what was seen: each way to be wrong has its line and its hint."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_edge.documents.codec import encode_wire
from insight_edge.documents.delivery import Outcome
from insight_edge.documents.device import DeploymentState, Refusal, Reported
from insight_edge.documents.enrolment import Broker, Identity
from insight_edge.documents.job import JobResult
from insight_edge.documents.topics import Kind
from insight_edge.fleet.doctor.check import Check, failures, span
from insight_edge.fleet.doctor.deployed import Seen, judge_deployment
from insight_edge.fleet.doctor.kept import (
    Waiting,
    judge_outbox,
    look_at_journal,
    look_at_outbox,
    waiting_in,
)
from insight_edge.fleet.doctor.machine import judge_agent, judge_hardware, judge_service
from insight_edge.fleet.doctor.place import judge_disk, look_at_directory, look_at_identity
from insight_edge.fleet.doctor.reach import Answer, judge_clock, judge_cloud
from insight_edge.fleet.doctor.trusted import expiries, judge_metadata
from insight_edge.fleet.identity import keep_identity
from insight_edge.fleet.link.outbox import Outbox
from tests.fakes.fleet_devices import FACTS
from tests.fakes.hardware import profile_of

NOW_S, HOUR_S, YEAR_S = 1.79e9, 3600.0, 3.2e7
BUNDLE, OTHER = "sha256:" + "b" * 64, "sha256:" + "c" * 64
MIB = 2**20
IDENTITY = Identity(
    tenant="default",
    device="press-7",
    profile="box",
    secret="s3cret",
    cloud="http://127.0.0.1:1",
    broker=Broker(host="127.0.0.1", port=2, username="press-7", password="pa55word"),
    root="{}",
    deployments=("camera-1",),
)
REFUSAL = Refusal(kind="ExpiredError", reason="signed too long ago", phase="judging", at_s=NOW_S)


def reported(**changes: object) -> Reported:
    fields = {"tenant": "default", "device": "press-7", "revision": 3, "at_s": NOW_S, **changes}
    return Reported(**fields)  # type: ignore[arg-type]


def waiting(**changes: object) -> Waiting:
    fields = {"messages": 2, "length_bytes": 2000, "oldest_s": NOW_S - 30, "lost": 0, **changes}
    return Waiting(**fields)  # type: ignore[arg-type]


CASES: list[tuple[Check, str, str]] = [
    (judge_clock(NOW_S, NOW_S - 20, 0), "ok", "as the cloud's"),
    (judge_clock(NOW_S, NOW_S + 300, 0), "warning", "5 min behind"),
    (judge_clock(NOW_S + 9 * YEAR_S, NOW_S, 0), "failed", "9 years ahead"),
    (judge_clock(0.0, None, NOW_S), "failed", "before a time that has certainly passed"),
    (judge_clock(NOW_S, None, NOW_S - 5), "warning", "not known"),
    (judge_cloud(IDENTITY, Answer(status=200)), "ok", "lets this device in"),
    (judge_cloud(IDENTITY, Answer(status=403)), "failed", "does not know this device"),
    (judge_cloud(IDENTITY, Answer(status=507)), "failed", "HTTP status 507"),
    (judge_cloud(IDENTITY, Answer(trouble="NewConnectionError")), "failed", "cannot be reached"),
    (judge_metadata({}, NOW_S), "warning", "none was fetched yet"),
    (judge_metadata({"timestamp": NOW_S + 7200, "root": NOW_S + YEAR_S}, NOW_S), "ok", "timestamp"),
    (judge_metadata({"timestamp": NOW_S - 7200}, NOW_S), "failed", "timestamp expired 2 h ago"),
    (judge_metadata({"root": NOW_S + 24 * HOUR_S}, NOW_S), "warning", "root expires first"),
    (judge_disk(200 * MIB, 40 * MIB), "ok", "are free"),
    (judge_disk(50 * MIB, 40 * MIB), "failed", "an update needs about 100.7 MB"),
    (judge_disk(5 * MIB, 1), "failed", "5.2 MB are free"),
    (judge_outbox(waiting(), [], NOW_S), "ok", "2 messages wait, 2.0 kB, the oldest since 30 s"),
    (judge_outbox(waiting(oldest_s=NOW_S - 3 * HOUR_S), [], NOW_S), "warning", "since 3 h"),
    (judge_outbox(waiting(length_bytes=40 * MIB), [], NOW_S), "warning", "41.9 MB"),
    (judge_outbox(waiting(lost=7), [], NOW_S), "ok", "7 were given up"),
    (judge_outbox(waiting(), ["agent.sqlite.damaged-1"], NOW_S), "warning", "damaged-1"),
    (judge_deployment("c", Seen(), {"a"}), "warning", "no bundle is committed"),
    (judge_deployment("c", Seen(trouble="slot a is empty"), {"a"}), "failed", "slot a is empty"),
    (judge_deployment("c", Seen(bundle=BUNDLE, engines=("a",)), {"b"}), "failed", "not installed"),
    (
        judge_deployment("c", Seen(bundle=BUNDLE, engines=("a",)), {"a"}),
        "warning",
        "no application",
    ),
    (
        judge_deployment(
            "c", Seen(bundle=BUNDLE, engines=("a", "b"), attached=True, serving=BUNDLE), {"b"}
        ),
        "warning",
        "a is not installed here",
    ),
    (
        judge_deployment("c", Seen(bundle=BUNDLE, engines=("a",), attached=True), {"a"}),
        "failed",
        "serves nothing",
    ),
    (
        judge_deployment(
            "c", Seen(bundle=BUNDLE, engines=("a",), attached=True, serving=OTHER), {"a"}
        ),
        "ok",
        "on probation",
    ),
    (
        judge_deployment(
            "c", Seen(bundle=BUNDLE, engines=("a",), attached=True, serving=BUNDLE), {"a"}
        ),
        "ok",
        "bbbbbbbbbbbb is committed and serves",
    ),
    (judge_hardware("box", profile_of(), FACTS), "ok", "fits the profile box"),
    (judge_hardware("box", None, FACTS), "warning", "not among those shipped"),
    (judge_hardware("box", profile_of(arch="aarch64"), FACTS), "failed", "the profile box"),
    (judge_agent(reported(), 5.0), "ok", "runs"),
    (judge_agent(reported(), 5 * HOUR_S), "warning", "said nothing for 5 h"),
    (judge_agent(reported(held=True), 5.0), "warning", "updates and jobs are held"),
    (judge_agent(reported(refusal=REFUSAL), 5.0), "warning", "ExpiredError"),
    (
        judge_agent(reported(deployments={"c": DeploymentState(refusal=REFUSAL)}), 5.0),
        "warning",
        "c: ExpiredError",
    ),
    (judge_service("active", "enabled"), "ok", "is active"),
    (judge_service("active", "disabled"), "warning", "not started at boot"),
    (judge_service("failed", "enabled"), "failed", "is failed"),
    (judge_service(None, None), "warning", "cannot be asked"),
]


@pytest.mark.parametrize(("check", "state", "says"), CASES, ids=[says for _, _, says in CASES])
def test_each_way_to_be_wrong_has_its_line(check: Check, state: str, says: str) -> None:
    assert check.state == state
    assert says in check.says
    assert "\n" not in check.says + check.hint


def test_what_failed_says_what_to_do() -> None:
    assert [check.says for check, state, _ in CASES if state == "failed" and not check.hint] == []
    assert failures(check for check, _, _ in CASES) == sum(s == "failed" for _, s, _ in CASES)


@given(st.floats(-1e12, 1e12))
def test_any_span_is_a_few_words(seconds: float) -> None:
    assert 1 < len(span(seconds)) < 16


def test_identity_is_its_owners_alone(tmp_path: Path) -> None:
    check, none = look_at_identity(tmp_path)
    assert (check.state, none) == ("failed", None)
    keep_identity(tmp_path, IDENTITY)
    assert look_at_identity(tmp_path)[0].state == "ok"
    assert look_at_directory(tmp_path).state == "ok"
    (tmp_path / "identity.json").chmod(0o644)
    assert "readable by others (mode 0644)" in look_at_identity(tmp_path)[0].says
    tmp_path.chmod(0o755)
    assert look_at_directory(tmp_path).state == "warning"


def test_no_word_of_a_broken_identity_is_shown(tmp_path: Path) -> None:
    keep_identity(tmp_path, IDENTITY)
    path = tmp_path / "identity.json"
    path.write_text(path.read_text().replace('"press-7"', "s3cret", 1))
    check, none = look_at_identity(tmp_path)
    assert (check.state, none) == ("failed", None)
    assert "s3cret" not in str(check)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_file_of_another_user_is_found(tmp_path: Path) -> None:
    keep_identity(tmp_path, IDENTITY)
    os.chown(tmp_path / "deployments", 12345, -1)
    check = look_at_directory(tmp_path)
    assert check.state == "failed"
    assert "user 12345" in check.says
    assert check.hint.startswith("chown -R ")


def test_outbox_is_read_beside_its_agent_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "agent.sqlite"
    assert look_at_outbox(tmp_path, NOW_S).state == "warning"
    outbox = Outbox(path)
    for counter in (1, 2):
        outcome = Outcome(id=f"press-7/c/1/{counter}", label="cat", at_s=NOW_S - counter)
        outbox.put(Kind.OUTCOME, encode_wire(outcome))
    outbox.lost_before(Kind.OUTCOME, "c/1", 5)
    found = waiting_in(path)
    assert (found.messages, found.oldest_s, found.lost) == (2, NOW_S - 1, 5)
    outbox.close()
    before = {one.name: one.read_bytes() for one in tmp_path.iterdir()}
    assert waiting_in(path) == found
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == before


def test_result_of_a_job_that_waits_is_looked_at_too(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "agent.sqlite")
    result = JobResult(device="press-7", id="job-1", status="withdrawn", at_s=NOW_S - 7200)
    outbox.put(Kind.JOB_RESULT, encode_wire(result))
    outbox.close()
    assert look_at_outbox(tmp_path, NOW_S).state == "warning"


def test_damaged_outbox_is_a_line(tmp_path: Path) -> None:
    (tmp_path / "agent.sqlite").write_bytes(b"rubbish" * 1000)
    check = look_at_outbox(tmp_path, NOW_S)
    assert (check.state, "\n" in check.says) == ("failed", False)


def test_journal_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    folder.mkdir()
    assert look_at_journal(tmp_path).state == "ok"
    (folder / "desired.json.unreadable").write_bytes(b"x")
    assert look_at_journal(tmp_path).state == "warning"
    (folder / "update-c.json").write_bytes(b"{")
    check = look_at_journal(tmp_path)
    assert (check.state, "update-c.json" in check.says) == ("failed", True)


def test_newest_timestamp_counts_and_nonsense_does_not(tmp_path: Path) -> None:
    folder = tmp_path / "tuf" / "metadata"
    folder.mkdir(parents=True)
    for role, year in (("root", 2030), ("snapshot", 2027), ("timestamp", 2027), ("targets", 0)):
        body = {"signed": {"expires": f"{year}-01-01T00:00:00Z"}}
        (folder / f"{role}.json").write_text(json.dumps(body))
    assert expiries(tmp_path, b"").keys() == {"root", "snapshot", "timestamp"}
    found = expiries(tmp_path, b'{"signed": {"expires": "2028-01-01T00:00:00Z"}}')
    assert found.keys() == {"root", "timestamp"}
    assert found["timestamp"] > 1.83e9
