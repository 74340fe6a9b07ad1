# SPDX-License-Identifier: Apache-2.0
"""The verbs `insight-cloud job …`, over a real installation whose device only talks."""

import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from insight_cloud.builds.profiles import known_profiles
from insight_cloud.cli.main import run
from insight_cloud.cli.waiting import wait_for
from insight_cloud.devices.selection import Selection, spelled
from insight_cloud.jobs.job import Job
from insight_cloud.platform.clock import now
from insight_edge.bench.machine import machine_facts
from insight_edge.documents.codec import decode_json, encode_json
from insight_edge.documents.enrolment import EnrolmentRequest
from insight_edge.documents.job import JobResult
from insight_edge.documents.manifest import ModelInfo
from insight_edge.documents.result import BenchResult
from insight_edge.errors import ConfigurationError
from tests.fakes.broker import until
from tests.fakes.cloud import Cloud, open_cloud
from tests.fakes.fleet_devices import birth, told
from tests.fakes.matrix import tagged_matrix, write_matrix_bundle
from tests.fakes.measuring_world import Word, answering, bench_result, job_result, refused

DEVICES = ("cam-1", "cam-2")


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """Give a cloud with two devices that are there and one bundle for them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INSIGHT_CLOUD_STATE", "state")
    with open_cloud(tmp_path / "state") as cloud:
        profiles = known_profiles(cloud.settings.profiles_path)
        for name in DEVICES:
            asked = EnrolmentRequest(
                token=cloud.invite(name), facts=machine_facts(), deployments=("default",)
            )
            made = cloud.devices.enrol(asked, profiles=profiles, now=now())
            cloud.devices.hear(told(birth(device=name), device=name), now())
        model = ModelInfo(name="matrix", version=2, digest="sha256:" + "2" * 64)
        write_matrix_bundle(tmp_path / "b", tagged_matrix(2), profile=made.profile, model=model)
        cloud.releases.publish(tmp_path / "b", by="Ada", now=now())
        yield cloud


def slower(job: Job, device: str) -> JobResult:
    return job_result(job, device, bench_result(job, device, 2.0 + (device == "cam-2")))


def noisy(job: Job, device: str) -> JobResult:
    one = bench_result(job, device)
    measured = msgspec.structs.replace(
        one.measurement, verdict="NOISY", reasons=("the load was 3.5",)
    )
    return job_result(job, device, msgspec.structs.replace(one, measurement=measured))


def verb(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> tuple[str, str]:
    """Return what a verb printed."""
    capsys.readouterr()
    assert run(["job", *words]) == code, capsys.readouterr().err
    said = capsys.readouterr()
    return said.out, said.err


def test_a_job_is_waited_for_and_its_results_written(
    cloud: Cloud, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with answering(cloud.jobs, slower):
        out, err = verb(capsys, "bench", "matrix:2", "--rounds", "7", "-o", "r.jsonl")
    [job] = cloud.jobs.list()
    assert (job.terms.rounds, job.by.startswith("local:")) == (7, True)
    assert f"job {job.id}: matrix:2 for" in err
    assert "2 of 2 devices done" in err
    assert "2 results in r.jsonl" in err
    assert "cam-1" in out
    assert "+50.0 %" in out
    lines = (tmp_path / "r.jsonl").read_bytes().splitlines()
    assert [decode_json(BenchResult, line).device for line in lines] == ["cam-1", "cam-2"]
    assert lines[0] == encode_json(bench_result(job, "cam-1", 2.0))
    printed, _ = verb(capsys, "results", job.id, "--format", "json")
    assert printed.encode() == (tmp_path / "r.jsonl").read_bytes()
    verb(capsys, "results", job.id, "-o", "again.jsonl", "--strict")
    assert (tmp_path / "again.jsonl").read_bytes() == (tmp_path / "r.jsonl").read_bytes()


def test_jobs_are_listed_shown_and_withdrawn(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = cloud.releases.releases()[0].bundle
    out, _ = verb(capsys, "bench", digest, "--on", "cam-2", "--limit", "1m", "--when", "now")
    id_ = out.strip()
    job = cloud.jobs.get(id_)
    assert (job.terms.limit_s, job.terms.when, job.terms.lifetime_s) == (60.0, "now", 86_400.0)
    listed = json.loads(verb(capsys, "list", "--active", "--format", "json")[0])
    assert [one["id"] for one in listed] == [id_]
    assert id_ in verb(capsys, "list")[0]
    shown, _ = verb(capsys, "show", id_)
    assert f"Job {id_}: matrix:2 for" in shown
    assert "cam-2" in shown
    assert json.loads(verb(capsys, "show", id_, "--format", "json")[0])["job"]["id"] == id_
    assert "withdrawn" in verb(capsys, "withdraw", id_, "--reason", "Friday")[1]
    assert cloud.jobs.get(id_).state == "withdrawn"
    assert verb(capsys, "list", "--active", "--format", "json")[0] == "[]\n"


@pytest.mark.parametrize(
    ("word", "flags", "code", "said"),
    [
        (refused, ("--wait",), 1, "nothing was measured: 0 of 2 devices done, 2 refused; cam-1:"),
        (noisy, ("--wait", "--strict"), 3, "2 of 2 measurements are not VALID"),
        (noisy, ("--wait",), 0, "2 of 2 devices done"),
    ],
)
def test_the_exit_code_says_what_came_of_it(
    cloud: Cloud,
    capsys: pytest.CaptureFixture[str],
    word: Word,
    flags: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    with answering(cloud.jobs, word):
        _, err = verb(capsys, "bench", "matrix:2", *flags, code=code)
    assert said in " ".join(err.split())


def test_whoever_waits_in_vain_is_told_what_for(cloud: Cloud) -> None:
    job = cloud.jobs.bench(cloud.releases.releases()[0].bundle, by="Ada", now=now())
    said = io.StringIO()
    console = Console(file=said)
    with withdrawing(cloud, job.id, lambda: "no device was told yet" in said.getvalue()):
        after = wait_for(cloud.jobs, job.id, console, hint_s=0.0)
    assert after.state == "withdrawn"
    assert said.getvalue().count("no device was told yet") == 1


@contextmanager
def withdrawing(cloud: Cloud, job: str, when: Callable[[], bool]) -> Iterator[None]:
    """Take a job back as soon as something holds."""

    def act() -> None:
        until(when)
        cloud.jobs.withdraw(job, by="Ada", now=now())

    thread = threading.Thread(target=act)
    thread.start()
    try:
        yield
    finally:
        thread.join()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("bench", "matrix"), "names no version"),
        (("bench", "matrix:9"), "no bundle of matrix:9 is listed"),
        (("bench", "sha256:0"), "no bundle sha256:0 was published"),
        (("bench", "matrix:2", "--on", "cam-9"), "there is no device 'cam-9'"),
        (("bench", "matrix:2", "--on", "profile:rpi9"), "no device is meant"),
        (("bench", "matrix:2", "--on", "label:x"), "'label:x' means no devices"),
        (("bench", "matrix:2", "--rounds", "0"), "rounds is 0"),
        (("bench", "matrix:2", "--limit", "9"), "is no duration"),
        (("bench", "matrix:2", "--variant", "int4"), "the bundle has no variant 'int4'"),
        (("show", "bench-0"), "there is no job 'bench-0'"),
        (("withdraw", "bench-0"), "there is no job"),
    ],
)
def test_a_mistake_is_one_line(
    cloud: Cloud, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    _, err = verb(capsys, *words, code=2)
    assert said in " ".join(err.split())
    assert "Traceback" not in err
    assert cloud.jobs.list() == ()


def test_devices_are_meant_in_words() -> None:
    assert spelled(["cam-1", "cam-2"]) == Selection(devices=("cam-1", "cam-2"))
    assert spelled(["profile:rpi5-8gb", "text:cam"]) == Selection(profile="rpi5-8gb", text="cam")
    assert spelled(["all"]) == Selection()


@pytest.mark.parametrize(
    "words",
    [[], ["cam-1", "all"], ["all", "text:x"], ["profile:"], ["profile:a", "profile:b"], ["x:y"]],
)
def test_words_that_mean_no_devices_are_refused(words: list[str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        spelled(words)
    assert "NAME" in str(caught.value.hint)
