# SPDX-License-Identifier: Apache-2.0
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from insight_cloud.builds.profiles import known_profiles
from insight_cloud.cli.main import run
from insight_cloud.cli.spelling import seconds
from insight_cloud.platform.clock import now
from insight_edge.bench.machine import machine_facts
from insight_edge.documents.enrolment import EnrolmentRequest
from insight_edge.documents.manifest import ModelInfo
from insight_edge.errors import ConfigurationError
from tests.fakes.cloud import Cloud, open_cloud
from tests.fakes.matrix import tagged_matrix, write_matrix_bundle

DEPLOYMENT = "camera-1"


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """Give a cloud with one device and one bundle for it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INSIGHT_CLOUD_STATE", "state")
    with open_cloud(tmp_path / "state") as cloud:
        request = EnrolmentRequest(
            token=cloud.invite("cam-1"), facts=machine_facts(), deployments=(DEPLOYMENT,)
        )
        profiles = known_profiles(cloud.settings.profiles_path)
        made = cloud.devices.enrol(request, profiles=profiles, now=now())
        model = ModelInfo(name="matrix", version=2, digest="sha256:" + "2" * 64)
        write_matrix_bundle(tmp_path / "b", tagged_matrix(2), profile=made.profile, model=model)
        cloud.releases.publish(tmp_path / "b", by="Ada", now=now())
        yield cloud


def verb(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return what a verb printed."""
    assert run(["rollout", *words]) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def test_the_verbs_do_what_they_say(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    plan = ("--canary", "50%", "--wave", "80%", "--wave", "100%", "--soak", "30s")
    assert verb(capsys, "start", "matrix:2", "--deployment", DEPLOYMENT, *plan) == "1\n"
    found = cloud.rollouts.get(1)
    assert (found.plan.canary, found.plan.waves, found.plan.soak_s) == ("50%", ("80%", "100%"), 30)
    assert found.by.startswith("local:")
    cloud.rollouts.run(now())
    listed = json.loads(verb(capsys, "list", "--active", "--format", "json"))
    assert [(one["id"], one["state"]) for one in listed] == [(1, "running")]
    assert "matrix:2" in verb(capsys, "list")
    shown = verb(capsys, "show", "1")
    assert "Rollout 1: matrix:2 to camera-1 is running" in shown
    assert "asked" in shown
    assert [
        one["device"]
        for one in json.loads(verb(capsys, "show", "1", "--format", "json"))["members"]
    ] == ["cam-1"]
    why = verb(capsys, "why-not", "cam-1", "--deployment", DEPLOYMENT)
    assert why == "The device was enrolled and has not connected yet.\n"
    for words, state in (
        (("pause", "1", "--reason", "Friday"), "paused"),
        (("resume", "1", "--waive"), "running"),
        (("roll-back", "1"), "rolling_back"),
        (("abort", "1"), "aborted"),
    ):
        verb(capsys, *words)
        assert cloud.rollouts.get(1).state == state


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("start", "matrix"), "names no version"),
        (("start", "matrix:3"), "no bundle of matrix:3 is listed"),
        (("start", "matrix:2", "--deployment", "gate"), "has a deployment 'gate'"),
        (("start", "matrix:2", "--soak", "10"), "is no duration"),
        (("start", "matrix:2", "--wave", "10%"), "the last wave is 10%"),
        (("show", "4"), "there is no rollout 4"),
    ],
)
def test_a_mistake_is_one_line(
    cloud: Cloud, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str
) -> None:
    assert run(["rollout", *words]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert cloud.rollouts.list() == ()


def test_a_duration_is_a_number_and_a_unit() -> None:
    assert [seconds(text) for text in ("30s", "1.5m", "2h", "1d")] == [30, 90, 7200, 86_400]
    for text in ("", "10", "m", "-1s", "1 h", "1w"):
        with pytest.raises(ConfigurationError):
            seconds(text)
