# SPDX-License-Identifier: Apache-2.0
"""A builder alone: what it says of itself, and what it does with jobs that are no good."""

import os
import shutil
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from insight_edge.compile.building.location import Here
from insight_edge.compile.building.outcome import BuildLimits, BuildOutcome, Failed
from insight_edge.compile.job import BuildJob
from insight_edge.compile.plugins.discovery import backend_plugin
from insight_edge.compile.remote.announcement import (
    FILE,
    SILENT_S,
    Announcement,
    announce,
    find_builder,
)
from insight_edge.compile.remote.builder import Builder, Installed
from insight_edge.compile.remote.parcel import Answer
from insight_edge.documents.codec import decode_json, digest, encode_json
from insight_edge.documents.facts import Facts, Missing
from insight_edge.documents.target import target_from_token
from insight_edge.errors import ConfigurationError
from tests.fakes.build_backends import PLUGIN

FACTS = Facts(arch="x86_64", cpu_model="a", isa=(), cores=1, memory_bytes=1, os="L")
JOB = BuildJob(
    plugin=f"{PLUGIN}:Good",
    target=target_from_token("onnxruntime:fp32"),
    model="model.onnx",
    model_digest=digest(b"m"),
    arch="x86_64",
)


def hand_out(folder: Path, document: bytes, kind: str = "jobs") -> None:
    place = folder / kind / "1"
    place.mkdir(parents=True)
    (place / "job.json").write_bytes(document)
    (place / "model.onnx").write_bytes(b"m")


def answer(folder: Path) -> Answer:
    return decode_json(Answer, (folder / "answers" / "1" / "answer.json").read_bytes())


def test_backend_that_is_not_installed_is_not_run(tmp_path: Path) -> None:
    hand_out(tmp_path, encode_json(JOB))
    Builder(folder=tmp_path).work(once=True)
    found = answer(tmp_path)
    assert found.artifact is None
    assert found.reason == f"no backend 'onnxruntime' from {PLUGIN}:Good is installed there"
    assert found.job_digest == digest(encode_json(JOB))


def test_declared_backend_is_run_in_its_own_environment(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"no model")
    job = msgspec.structs.replace(
        JOB, plugin=backend_plugin("onnxruntime"), model=str(tmp_path / "m.onnx")
    )
    outcome = Installed().build(job, tmp_path / "b")
    assert isinstance(outcome, Failed)
    assert outcome.reason.startswith("exit code 1")


@pytest.mark.parametrize(("cache", "built"), [("kept", "1"), (None, "0")])
def test_backends_keep_what_they_learn_where_the_builder_has_a_cache(
    tmp_path: Path, cache: str | None, built: str
) -> None:
    folder = tmp_path / "shared"
    job = msgspec.structs.replace(JOB, plugin=f"{PLUGIN}:Learning", shared="/of/the/asker")
    builder = Builder(
        folder=folder,
        location=Here(python=sys.executable),
        cache=None if cache is None else tmp_path / cache,
    )
    for _ in range(2):
        shutil.rmtree(folder / "answers", ignore_errors=True)
        hand_out(folder, encode_json(job))
        builder.work(once=True)
    assert (folder / "answers" / "1" / "a.bin").read_text() == built


def test_job_that_cannot_be_read_is_answered(tmp_path: Path) -> None:
    hand_out(tmp_path, b"{")
    told: list[str] = []
    Builder(folder=tmp_path, tell=told.append).work(once=True)
    assert answer(tmp_path).reason.startswith("the job cannot be read: ")
    assert told[-1].startswith("1: failed, the job cannot be read")


def test_job_that_an_earlier_builder_ended_with_is_answered(tmp_path: Path) -> None:
    hand_out(tmp_path, encode_json(JOB), kind="taken")
    stop = threading.Event()
    stop.set()
    Builder(folder=tmp_path, stop=stop).work()
    assert answer(tmp_path).reason == "the builder ended while it built this"
    assert not (tmp_path / "taken" / "1").exists()


@dataclass
class Waiting:
    """A build that goes on until it is stopped."""

    begun: threading.Event = field(default_factory=threading.Event)

    def build(
        self,
        job: BuildJob,  # noqa: ARG002
        directory: Path,  # noqa: ARG002
        *,
        limits: BuildLimits | None = None,  # noqa: ARG002
        stop: threading.Event | None = None,
    ) -> BuildOutcome:
        self.begun.set()
        assert stop is not None
        assert stop.wait(60)
        return Failed(reason="stopped", build_s=0, peak_rss_bytes=0, log="")


def test_job_that_nobody_waits_for_is_stopped_and_not_answered(tmp_path: Path) -> None:
    hand_out(tmp_path, encode_json(JOB))
    waiting = Waiting()
    work = threading.Thread(
        target=Builder(folder=tmp_path, location=waiting).work, kwargs={"once": True}
    )
    work.start()
    assert waiting.begun.wait(60)
    (tmp_path / "taken" / "1").rename(tmp_path / "gone")
    work.join(60)
    assert not work.is_alive()
    assert not (tmp_path / "answers" / "1").exists()
    assert list((tmp_path / "staged").iterdir()) == []


def test_builder_is_known_while_it_works_and_no_longer(tmp_path: Path) -> None:
    found: list[Announcement] = []

    def look(words: str) -> None:
        if words.endswith("building"):
            found.append(find_builder(tmp_path))

    hand_out(tmp_path, encode_json(JOB))
    Builder(folder=tmp_path, tell=look).work(once=True)
    assert not isinstance(found[0].toolchain("onnxruntime"), Missing)
    assert isinstance(found[0].toolchain("nobody"), Missing)
    with pytest.raises(ConfigurationError, match="no builder works there"):
        find_builder(tmp_path)


def test_builder_that_fell_silent_is_not_there(tmp_path: Path) -> None:
    announce(tmp_path, Announcement(facts=FACTS, toolchains={}))
    assert find_builder(tmp_path).facts == FACTS
    long_ago = (tmp_path / FILE).stat().st_mtime - 2 * SILENT_S
    os.utime(tmp_path / FILE, (long_ago, long_ago))
    with pytest.raises(ConfigurationError, match="last heard of 40 s ago"):
        find_builder(tmp_path)


def test_builder_that_says_nonsense_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"[]")
    with pytest.raises(ConfigurationError, match="cannot be understood"):
        find_builder(tmp_path)
