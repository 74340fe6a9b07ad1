# SPDX-License-Identifier: Apache-2.0
"""A build on another machine: a second process takes the job, and is not believed."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from insight_edge.bundle.write import file_entry
from insight_edge.compile.building.cache import build_once
from insight_edge.compile.building.outcome import BuildLimits, Built, Failed
from insight_edge.compile.job import BuildJob
from insight_edge.compile.remote.parcel import Answer
from insight_edge.compile.remote.spool import Spool
from insight_edge.compile.toolchains.toolchain import Toolchain
from insight_edge.documents.codec import digest, encode_json
from insight_edge.documents.target import target_from_token
from tests.fakes.build_backends import PLUGIN

ROOT = Path(__file__).parents[2]
Start = Callable[[str], None]
LIMITS = BuildLimits(wall_s=60)


@pytest.fixture
def job(tmp_path: Path) -> BuildJob:
    (tmp_path / "m.onnx").write_bytes(b"a model")
    (tmp_path / "own.tflite").write_bytes(b"a file")
    (tmp_path / "rows.npz").write_bytes(b"rows")
    return BuildJob(
        plugin=f"{PLUGIN}:Good",
        target=target_from_token("tensorrt:int8"),
        model=str(tmp_path / "m.onnx"),
        model_digest=digest(b"a model"),
        arch="aarch64",
        original=str(tmp_path / "own.tflite"),
        original_digest=digest(b"a file"),
        calibration=str(tmp_path / "rows.npz"),
        calibration_digest=digest(b"rows"),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "spool"
    place.mkdir()
    return place


@pytest.fixture
def device(folder: Path) -> Iterator[Start]:
    """Start a process that does one job of the spool; it is ended with the test."""
    running: list[subprocess.Popen[bytes]] = []

    def start(lie: str = "") -> None:
        words = [str(folder), lie]
        running.append(
            subprocess.Popen(
                [sys.executable, "-m", "tests.fakes.spool_device", *words],
                cwd=ROOT,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
            )
        )

    yield start
    for process in running:
        process.kill()
        process.wait()


def test_artifact_of_the_device_comes_back_whole(
    job: BuildJob, folder: Path, device: Start, tmp_path: Path
) -> None:
    device("")
    outcome = Spool(folder=folder).build(job, tmp_path / "b", limits=LIMITS)
    assert isinstance(outcome, Built), outcome
    assert (outcome.directory / "a.bin").read_bytes() == b"tensorrt:int8"
    assert outcome.files == (file_entry("a.bin", outcome.directory / "a.bin"),)
    assert "progress" in outcome.log
    left = [p.name for kind in ("jobs", "taken", "answers") for p in (folder / kind).iterdir()]
    assert left == []


@pytest.mark.parametrize("own", [True, False])
def test_every_file_that_a_job_names_travels(
    own: bool, job: BuildJob, folder: Path, device: Start, tmp_path: Path
) -> None:
    changes: dict[str, Any] = {} if own else {"original": None, "original_digest": None}
    asked = msgspec.structs.replace(job, plugin=f"{PLUGIN}:Carried", **changes)
    device("")
    outcome = Spool(folder=folder).build(asked, tmp_path / "b", limits=LIMITS)
    assert isinstance(outcome, Built), outcome
    wanted = b"a model a file rows" if own else b"a model rows"
    assert (outcome.directory / "a.bin").read_bytes() == wanted


def test_cache_keeps_what_a_device_built(
    job: BuildJob, folder: Path, device: Start, tmp_path: Path
) -> None:
    device("")
    toolchain = Toolchain(versions={"tensorrt": "11"})
    spool = Spool(folder=folder)
    first = build_once(job, tmp_path / "c", toolchain, limits=LIMITS, location=spool)
    again = build_once(job, tmp_path / "c", toolchain, limits=LIMITS, location=spool)
    assert isinstance(first, Built), first
    assert isinstance(again, Built), again
    assert (first.cached, again.cached) == (False, True)


@pytest.mark.parametrize(
    ("lie", "said"),
    [
        ("other bytes", "a.bin is not what the builder says it sent"),
        ("more bytes", "a.bin has more than"),
        ("other name", "the files sent are not those of the artifact"),
        ("huge", "at most 2147483648 are taken"),
    ],
)
def test_artifact_that_is_not_what_it_says_is_not_taken(
    lie: str, said: str, job: BuildJob, folder: Path, device: Start, tmp_path: Path
) -> None:
    device(lie)
    outcome = Spool(folder=folder).build(job, tmp_path / "b", limits=LIMITS)
    assert isinstance(outcome, Failed)
    assert said in outcome.reason
    assert not (tmp_path / "b" / "artifact").exists()


def test_build_that_fails_there_fails_here_with_its_reason_and_log(
    job: BuildJob, folder: Path, device: Start, tmp_path: Path
) -> None:
    device("")
    raising = msgspec.structs.replace(job, plugin=f"{PLUGIN}:Raising")
    outcome = Spool(folder=folder).build(raising, tmp_path / "b", limits=LIMITS)
    assert isinstance(outcome, Failed)
    assert outcome.reason.startswith("at the builder: exit code 1")
    assert "this operator is not known" in outcome.reason
    assert "Traceback" in outcome.log


def test_builder_that_is_not_heard_of_is_given_up(
    job: BuildJob, folder: Path, tmp_path: Path
) -> None:
    outcome = Spool(folder=folder, silent_s=0.2).build(job, tmp_path / "b")
    assert isinstance(outcome, Failed)
    assert outcome.reason == f"the builder at {folder} was not heard of for 0.2 s"
    assert list((folder / "jobs").iterdir()) == []


def test_stop_ends_the_wait(job: BuildJob, folder: Path, tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    outcome = Spool(folder=folder).build(job, tmp_path / "b", stop=stop)
    assert isinstance(outcome, Failed)
    assert outcome.reason == "stopped"


def test_answer_to_another_job_is_not_taken(job: BuildJob, folder: Path, tmp_path: Path) -> None:
    def answer() -> None:
        jobs = folder / "jobs"
        while not (jobs.is_dir() and list(jobs.iterdir())):
            threading.Event().wait(0.01)
        staged = folder / "answer"
        staged.mkdir()
        (staged / "answer.json").write_bytes(encode_json(Answer(job_digest=digest(b"other"))))
        (folder / "answers").mkdir()
        staged.rename(folder / "answers" / next(jobs.iterdir()).name)

    other = threading.Thread(target=answer)
    other.start()
    outcome = Spool(folder=folder).build(job, tmp_path / "b", limits=LIMITS)
    other.join()
    assert isinstance(outcome, Failed)
    assert outcome.reason == "the builder answered another job than it was given"
