# SPDX-License-Identifier: Apache-2.0
"""Trouble that is brought about for real, and what a measurement says of it.

Verdicts over readings that cannot be brought about at will (heat, a hypervisor, memory that runs
short) are in tests/unit/bench/test_disturbance.py and test_sustained.py. No test here says that
a machine is quiet: others may be at work on it.
"""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from insight_edge.bench.exchange import Preparation
from insight_edge.bench.subject import SubjectProcess
from insight_edge.bench.timing import Scheme, Timed, time_subjects
from insight_edge.documents.codec import from_plain
from insight_edge.documents.evidence import Measurement
from tests.fakes.engine import Evicted
from tests.fakes.engine_bundles import install_fake_engine, write_fake_bundle

EDGE = Path(sys.executable).with_name("insight-edge")
HOG = "while True: pass"
CLOCK_OF_DAY_THAT_JUMPS = """
import itertools, time
_steps = itertools.count()
time.time = lambda: 1e9 - 3600.0 * next(_steps)
time.time_ns = lambda: int(time.time() * 1e9)
"""
HELD_BACK = "its control group was held back"


@pytest.fixture(autouse=True)
def _engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "installed").mkdir()
    install_fake_engine(tmp_path / "installed", monkeypatch)


def timed(place: Path, settings: dict[str, str], warm_up_s: float = 0.2) -> Timed:
    write_fake_bundle(place, settings)
    preparation = Preparation(warm_up_s=warm_up_s, whole=True)
    with SubjectProcess(place, preparation=preparation) as subject:
        return time_subjects([subject], Scheme(rounds=10, iterations=600, threads=1))[0]


def bench(
    folder: Path, *flags: str, before: Sequence[str] = (), **variables: str
) -> tuple[int, Measurement]:
    """Return the exit code and the measurement of `insight-edge bench` on a fake bundle."""
    write_fake_bundle(folder / "b")
    command = [*before, str(EDGE), "bench", "b", "--threads", "1", "--format", "json", *flags]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False,
        env=os.environ | variables,
    )  # fmt: skip
    assert done.stdout, done.stderr
    return done.returncode, from_plain(Measurement, json.loads(done.stdout)[0]["measurement"])


def test_program_on_the_same_processor_makes_it_noisy(tmp_path: Path) -> None:
    cpu = max(os.sched_getaffinity(0))
    with subprocess.Popen([sys.executable, "-c", HOG]) as hog:
        try:
            os.sched_setaffinity(hog.pid, {cpu})
            code, found = bench(tmp_path, "--cpus", str(cpu), "--duration", "3", "--rounds", "6")
        finally:
            hog.kill()
    assert found.noise.waited_share is not None
    assert found.noise.waited_share > 0.15, "half of the time is what a fair scheduler gives"
    assert code == 3
    told = "; ".join(found.reasons)
    assert found.verdict == "THROTTLED" or "it waited for a processor" in told


def test_control_group_without_time_left_makes_it_throttled(tmp_path: Path) -> None:
    with limited_group(0.2) as join:
        command = ("sh", "-c", f'echo $$ > {join} && exec "$@"', "sh")
        code, found = bench(
            tmp_path, "--duration", "1.5", "--rounds", "6", "--warmup", "0.3", before=command
        )
    assert (code, found.verdict) == (3, "THROTTLED")
    assert found.noise.held_back_share is not None
    assert found.noise.held_back_share > 0.3, "four fifths of the time are withheld"
    assert any(HELD_BACK in reason for reason in found.reasons)


def test_model_with_a_slow_path_has_two_modes(tmp_path: Path) -> None:
    found = timed(tmp_path / "b", {"every": "3", "spin_us": "800"}).measurement
    fast, slow = found.modes
    assert fast.share == pytest.approx(2 / 3, abs=0.1)
    assert slow.at_ms - fast.at_ms == pytest.approx(0.8, rel=0.5)


def test_model_that_gets_slower_and_slower_is_never_steady(tmp_path: Path) -> None:
    found = timed(tmp_path / "b", {"growing_us": "2"}, warm_up_s=0.5).measurement
    assert found.verdict == "NOISY"
    assert any("not steady after" in reason for reason in found.reasons)


def test_model_that_does_not_stay_in_memory_is_noisy(tmp_path: Path) -> None:
    """As where memory runs short: its file is dropped from memory before every inference."""
    probe = tmp_path / "probe"
    probe.write_bytes(bytes(4096))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_majflt
    Evicted(probe).read_back()
    if resource.getrusage(resource.RUSAGE_SELF).ru_majflt == before:
        pytest.skip(f"no file of {tmp_path} leaves memory: it lies in memory itself")
    found = timed(tmp_path / "b", {"evicted": "1"}).measurement
    assert found.noise.major_faults is not None
    assert found.noise.major_faults > 100
    assert found.verdict in {"NOISY", "THROTTLED"}
    assert found.verdict == "THROTTLED" or any("from a disk" in r for r in found.reasons)


def test_clock_of_day_that_jumps_changes_nothing(tmp_path: Path) -> None:
    """It goes back by an hour whenever it is read; only the monotonic clock is."""
    (tmp_path / "jumping").mkdir()
    (tmp_path / "jumping/sitecustomize.py").write_text(CLOCK_OF_DAY_THAT_JUMPS)
    path = os.pathsep.join([str(tmp_path / "jumping"), os.environ["PYTHONPATH"]])
    for flags in ((), ("--scenario", "server", "--rate", "300", "--duration", "0.5")):
        _, found = bench(tmp_path, *flags, "--rounds", "6", "--no-strict", PYTHONPATH=path)
        assert 0 < found.p50_ms.value < 1000
        assert found.warm_up is not None
        assert 0 < found.warm_up.duration_s < 60
        assert found.verdict != "INVALID"


@contextmanager
def limited_group(processors: float) -> Iterator[Path]:
    """Yield the file that makes a process one of a control group with so much time.

    Skips, with the reason, where no control group can be made.
    """
    period_us = 100_000
    root = Path("/sys/fs/cgroup")
    if (root / "cgroup.controllers").exists():
        limits = {"cpu.max": f"{int(processors * period_us)} {period_us}"}
        place = root / f"insight-edge-{os.getpid()}"
    else:
        limits = {
            "cpu.cfs_period_us": str(period_us),
            "cpu.cfs_quota_us": str(int(processors * period_us)),
        }
        place = root / "cpu" / f"insight-edge-{os.getpid()}"
    try:
        place.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    try:
        try:
            for name, text in limits.items():
                (place / name).write_text(text)
        except OSError as error:
            pytest.skip(f"no control group can be limited here: {error}")
        yield place / "cgroup.procs"
    finally:
        with suppress(OSError):
            place.rmdir()
