# SPDX-License-Identifier: Apache-2.0
"""A compilation that is interrupted, or has no room, leaves nothing: no half bundle, no process."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import pytest
from msgspec.structs import replace

from insight_edge.compile.building.outcome import Built
from insight_edge.compile.builds import build_all
from insight_edge.compile.job import BuildJob
from insight_edge.compile.progress import Rounds, Step
from insight_edge.compile.settings import Settings
from insight_edge.documents.target import Target
from insight_edge.errors import StorageError
from tests.fakes.build_backends import PLUGIN
from tests.fakes.onnx_models import conv_model
from tests.fakes.programs import insight_edge, program, remarks
from tests.fakes.sources import table_model

END_S = 60

pytestmark = pytest.mark.slow


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"mounting a small disk is not permitted: {mounted.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def wide_model() -> onnx.ModelProto:
    """Return a model whose artifact has two megabytes."""
    return table_model(columns=4, classes=100_000)


def test_full_disk_of_the_output_leaves_nothing_there(
    small_disk: Path, tmp_path: Path, here: Path
) -> None:
    onnx.save(wide_model(), tmp_path / "wide.onnx")
    done = insight_edge(
        "compile", "-m", "wide.onnx", "--profile", here, "--target", "onnxruntime:fp32",
        "--rounds", "5", "--accept-unproven", "-o", small_disk / "b",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    error, hint = remarks(done.stderr)
    assert "no space left on device" in error
    assert hint == "hint: free some space and try again"
    assert list(small_disk.iterdir()) == []


def test_full_disk_of_temporary_files_is_one_line(
    small_disk: Path, tmp_path: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx.save(wide_model(), tmp_path / "wide.onnx")
    monkeypatch.setenv("TMPDIR", str(small_disk))
    done = insight_edge(
        "compile", "-m", "wide.onnx", "--profile", here, "--target", "onnxruntime:fp32",
        "--accept-unproven", "-o", "b",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    error, *hints = remarks(done.stderr)
    assert error.startswith("error: ")
    assert len(hints) <= 1
    assert not (tmp_path / "b").exists()
    assert list(small_disk.iterdir()) == []


def descendants(pid: int) -> set[int]:
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in map(int, task.read_text().split()):
                found |= {child} | descendants(child)
    return found


def commands_of(pids: set[int]) -> list[bytes]:
    """Return the command lines of those processes that live; one that has ended has none."""
    found = []
    for pid in pids:
        with suppress(OSError):
            found.append(Path(f"/proc/{pid}/cmdline").read_bytes())
    return [command for command in found if command]


@pytest.mark.parametrize(
    "room", [b"insight_edge.compile.building.child", b"insight_edge.bench.child"]
)
def test_interrupt_ends_all_processes_and_leaves_nothing(
    tmp_path: Path, here: Path, monkeypatch: pytest.MonkeyPatch, room: bytes
) -> None:
    onnx.save(conv_model(), tmp_path / "conv.onnx")
    rows = np.random.default_rng(0).normal(size=(400, 3, 16, 16)).astype(np.float32)
    np.savez(tmp_path / "rows.npz", x=rows)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    compiling = subprocess.Popen(
        [program("insight-edge"), "compile", "-m", "conv.onnx", "--profile", here,
         "--calibration", "rows.npz", "--rounds", "1000", "-o", "b"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        children: set[int] = set()
        while not any(room in command for command in commands_of(children)):
            assert compiling.poll() is None
            children |= descendants(compiling.pid)
        children |= descendants(compiling.pid)
        compiling.send_signal(signal.SIGINT)
        printed, told = compiling.communicate(timeout=END_S)
    finally:
        compiling.kill()
        compiling.wait()
    assert compiling.returncode == 130, told
    assert (printed, remarks(told)) == ("", ["error: interrupted"])
    assert commands_of(children) == []
    assert {path.name for path in tmp_path.iterdir()} == {"conv.onnx", "rows.npz", "scratch"}
    assert list(scratch.iterdir()) == []


def job_of(kind: str, folder: Path, **options: str) -> BuildJob:
    model = folder / "m.onnx"
    model.write_bytes(b"model")
    return BuildJob(
        plugin=f"{PLUGIN}:{kind}",
        target=Target(backend=kind.lower(), precision="fp32", options=options),
        model=str(model),
        model_digest="sha256:0",
        arch="x86_64",
    )


def test_build_that_meets_a_full_disk_ends_the_others_at_once(tmp_path: Path) -> None:
    told = tmp_path / "told"
    jobs = [
        job_of("Hanging", tmp_path, fifo=str(told)),
        job_of("MeetingAFullDiskLater", tmp_path, after=str(told)),
    ]
    # Nothing else ends the build that hangs within this test.
    with pytest.raises(StorageError, match="disk is full"):
        build_all(jobs, tmp_path / "cache", Settings(jobs=2))
    hung = {int(pid) for pid in told.read_text().split()}
    assert len(hung) == 2
    assert commands_of(hung) == []
    assert list((tmp_path / "cache").iterdir()) == []


def test_builds_at_once_have_processors_of_their_own_and_one_alone_has_all(tmp_path: Path) -> None:
    jobs = [job_of("Placed", tmp_path, name=name) for name in ("a", "b")]
    jobs = [
        replace(j, target=replace(j.target, backend=n)) for j, n in zip(jobs, "ab", strict=True)
    ]

    def placed(count: int, cache: Path) -> list[set[str]]:
        outcomes = build_all(jobs[:count], cache, Settings()).values()
        built = [one for one in outcomes if isinstance(one, Built)]
        assert len(built) == count
        return [set((one.directory / "a.bin").read_text().split()) for one in built]

    cpus = {str(cpu) for cpu in os.sched_getaffinity(0)}
    if len(cpus) < 2:
        pytest.skip("this machine has one processor")
    first, second = placed(2, tmp_path / "two")
    assert first | second == cpus
    assert not first & second
    assert placed(1, tmp_path / "one") == [cpus]
    assert {str(cpu) for cpu in os.sched_getaffinity(0)} == cpus


def test_builds_are_watched_and_how_long_they_took_is_remembered(tmp_path: Path) -> None:
    jobs = [job_of("Good", tmp_path), job_of("Raising", tmp_path)]
    for again in (False, True):
        seen: list[Step | Rounds] = []
        build_all(jobs, tmp_path / "cache", Settings(jobs=1), watch=seen.append)
        steps = [step for step in seen if isinstance(step, Step)]
        assert [(step.token, step.state) for step in steps] == [
            ("good:fp32", "waiting"),
            ("raising:fp32", "waiting"),
            ("good:fp32", "building"),
            ("good:fp32", "built"),
            ("raising:fp32", "building"),
            ("raising:fp32", "failed"),
        ]
        assert [(step.usual_s is not None) for step in steps[:2]] == [again, False]
        # The second time it is found in the cache.
        assert (steps[3].build_s == 0) == again
        assert steps[5].why == "exit code 1: RuntimeError: this operator is not known"


def test_builds_are_told_as_they_begin_and_found_by_target(tmp_path: Path) -> None:
    told: list[str] = []
    jobs = [job_of("Good", tmp_path), job_of("Raising", tmp_path)]
    outcomes = build_all(jobs, tmp_path / "cache", Settings(jobs=1), told.append)
    assert told == ["building good:fp32", "building raising:fp32"]
    assert {token: type(one).__name__ for token, one in outcomes.items()} == {
        "good:fp32": "Built",
        "raising:fp32": "Failed",
    }
