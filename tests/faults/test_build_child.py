# SPDX-License-Identifier: Apache-2.0
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from insight_edge.compile.building.build import build
from insight_edge.compile.building.outcome import BuildLimits, BuildOutcome, Built, Failed
from insight_edge.compile.job import BuildJob
from insight_edge.documents.codec import encode_json
from insight_edge.documents.target import Target
from insight_edge.errors import StorageError
from tests.fakes.build_backends import PLUGIN

ROOT = Path(__file__).parents[2]
MIB = 2**20
DEADLINE_S = 30


@pytest.fixture(autouse=True)
def _fakes_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", place], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a small disk: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", place], check=True)


def job(fake: str, **options: str) -> BuildJob:
    return BuildJob(
        plugin=f"{PLUGIN}:{fake}",
        target=Target(backend="fake", precision="fp32", options=options),
        model="/none",
        model_digest="sha256:0",
        arch="x86_64",
    )


def outcome(fake: str, directory: Path, **limits: float) -> BuildOutcome:
    return build(job(fake), directory, limits=BuildLimits(**limits))  # type: ignore[arg-type] # by name


def reason(fake: str, directory: Path, **limits: float) -> str:
    ended = outcome(fake, directory, **limits)
    assert isinstance(ended, Failed)
    assert not (directory / "artifact").exists()
    assert "\n" not in ended.reason
    return ended.reason


def wait_for_end(pid: int) -> None:
    """Return once a process has ended; fail when it does not."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ended = select.select([watched], [], [], DEADLINE_S)[0]
    os.close(watched)
    assert ended, f"process {pid} is still alive"


def test_build_keeps_artifact_and_log_apart_from_our_stdout(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    built = outcome("Good", tmp_path / "b")
    assert isinstance(built, Built)
    assert (built.directory / built.artifact.entry).read_bytes() == b"fake:fp32"
    assert [(f.path, f.length_bytes) for f in built.files] == [("a.bin", 9)]
    assert built.log == "progress"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("fake", "expected"),
    [
        ("Segfaulting", "killed by signal 11 (Segmentation fault)"),
        ("Killed", "killed by signal 9 (Killed)"),
        ("Raising", "exit code 1: RuntimeError: this operator is not known"),
        ("LeavingNothing", "exited normally without an artifact"),
        ("Promising", "exited normally without an artifact: no a.bin"),
        ("LeavingAnEmptyFile", "exited normally without an artifact: a.bin is no file, or empty"),
        ("Linking", "exited normally without an artifact: a.bin is no file, or empty"),
        ("Escaping", "its file '../b.bin' is not a plain name"),
        ("Misnaming", "its entry 'other.bin' is not one of its files"),
        ("Absent", f"exit code 1: AttributeError: module '{PLUGIN}' has no attribute 'Absent'"),
    ],
)
def test_bad_build_becomes_its_reason(fake: str, expected: str, tmp_path: Path) -> None:
    assert reason(fake, tmp_path / "b") == expected


def test_segfault_leaves_the_place_in_the_log(tmp_path: Path) -> None:
    ended = outcome("Segfaulting", tmp_path / "b")
    assert "build_backends.py" in ended.log


def test_hanging_build_is_killed_with_all_it_started(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    ended = build(job("Hanging", fifo=str(fifo)), tmp_path / "b", limits=BuildLimits(wall_s=3.0))
    assert isinstance(ended, Failed)
    assert ended.reason == "over the time limit of 3 s"
    pids = os.read(reader, 100).decode().split()
    os.close(reader)
    assert len(pids) == 2
    for pid in pids:
        wait_for_end(int(pid))


def test_hoarding_build_is_killed_at_its_memory_limit(tmp_path: Path) -> None:
    ended = outcome("Hoarding", tmp_path / "b", memory_bytes=256 * MIB, wall_s=60.0)
    assert isinstance(ended, Failed)
    assert ended.reason == "over the memory limit of 0.2 GiB"
    assert ended.peak_rss_bytes > 256 * MIB


def test_file_beyond_the_limit_is_never_written(tmp_path: Path) -> None:
    found = reason("WritingTooMuch", tmp_path / "b", artifact_bytes=8 * MIB)
    assert found == "exit code 1: OSError: [Errno 27] File too large"


def test_artifact_beyond_the_limit_is_refused_though_no_file_is(tmp_path: Path) -> None:
    found = reason("WritingTwice", tmp_path / "b", artifact_bytes=3 * MIB // 2)
    assert found == f"the artifact is {2 * MIB} bytes, at most {3 * MIB // 2} are taken"


@pytest.mark.parametrize("fake", ["MeetingAFullDisk", "HidingAFullDisk"])
def test_full_disk_is_an_error_of_the_machine_and_not_of_the_target(
    fake: str, small_disk: Path
) -> None:
    with pytest.raises(StorageError, match="the disk is full"):
        outcome(fake, small_disk / "b")
    assert not (small_disk / "b" / "artifact").exists()


def test_disk_too_full_to_start_is_the_same_error(small_disk: Path) -> None:
    with (small_disk / "filler").open("wb", buffering=0) as filler, pytest.raises(OSError):  # noqa: PT011, PT012
        while True:
            filler.write(b"x" * 4096)
    with pytest.raises(StorageError, match="no space left"):
        outcome("Good", small_disk / "b")


def test_build_dies_with_its_parent(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    (tmp_path / "job.json").write_bytes(encode_json(job("Hanging", fifo=str(fifo))))
    script = (
        "import sys; from pathlib import Path\n"
        "from insight_edge.compile.building.build import build\n"
        "from insight_edge.compile.job import BuildJob\n"
        "from insight_edge.documents.codec import decode_json\n"
        "place = Path(sys.argv[1])\n"
        "build(decode_json(BuildJob, (place / 'job.json').read_bytes()), place / 'b')\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, tmp_path]) as parent:
        child, sleeper = map(int, fifo.read_text().split())
        try:
            parent.kill()
            wait_for_end(child)
        finally:
            os.kill(sleeper, 9)


def test_directory_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(ValueError, match="not empty"):
        outcome("Good", tmp_path)
    assert (tmp_path / "mine").exists()
