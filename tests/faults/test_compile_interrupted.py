# SPDX-License-Identifier: Apache-2.0
"""A compilation that is interrupted, or has no room, leaves nothing: no half bundle, no process."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import pytest

from insight_edge.compile.builds import build_all
from insight_edge.compile.job import BuildJob
from insight_edge.compile.settings import Settings
from insight_edge.documents.target import Target
from insight_edge.errors import StorageError
from tests.fakes.build_backends import PLUGIN
from tests.fakes.onnx_models import conv_model
from tests.fakes.programs import insight_edge, program
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
    error, hint = done.stderr.splitlines()
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
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) <= 2
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


@pytest.mark.parametrize("room", [b"insight_edge.compile.child", b"insight_edge.bench.child"])
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
        printed, said = compiling.communicate(timeout=END_S)
    finally:
        compiling.kill()
        compiling.wait()
    assert compiling.returncode == 130, said
    assert (printed, said) == ("", "error: interrupted\n")
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


def test_builds_are_told_as_they_begin_and_found_by_target(tmp_path: Path) -> None:
    told: list[str] = []
    jobs = [job_of("Good", tmp_path), job_of("Raising", tmp_path)]
    outcomes = build_all(jobs, tmp_path / "cache", Settings(jobs=1), told.append)
    assert told == ["building good:fp32", "building raising:fp32"]
    assert {token: type(one).__name__ for token, one in outcomes.items()} == {
        "good:fp32": "Built",
        "raising:fp32": "Failed",
    }
