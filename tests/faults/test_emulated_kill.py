# SPDX-License-Identifier: Apache-2.0
"""Whoever asks under emulation and is killed leaves no process and no mount behind."""

import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from insight_edge.bench.subject import SubjectProcess
from insight_edge.compile.targets.emulation import arm_root
from insight_edge.errors import MeasurementError
from tests.fakes.arm import emulated
from tests.fakes.engine_bundles import onnx_artifact, rows_of, weights_of, write_engine_bundle

pytestmark = pytest.mark.slow

PI = "rpi4-4gb"
ENGINE = "onnxruntime"
DEADLINE_S = 120.0

PARENT = f"""
import sys
from pathlib import Path
from insight_edge.bench.subject import SubjectProcess
from tests.fakes.arm import emulated
from tests.fakes.engine_bundles import rows_of

bundle, seen = map(Path, sys.argv[1:])
python = emulated({PI!r}, seen).interpreter({ENGINE!r})
with SubjectProcess(bundle, python=python) as subject:
    print(subject._child.pid, flush=True)
    while True:
        subject.answer(rows_of(1, 64))
"""


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    weights = weights_of(0)
    write_engine_bundle(tmp_path / "b", ENGINE, onnx_artifact(weights), weights)
    return tmp_path / "b"


def emulators(place: Path) -> list[int]:
    """Return the processes that emulate with what lies at a place."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if str(place).encode() in words:
            found.append(int(folder.name))
    return found


def test_nothing_is_left_of_a_parent_that_is_killed(bundle: Path, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    emulated(PI, seen, ENGINE)
    command = [sys.executable, "-c", PARENT, str(bundle), str(seen)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root, text=True) as parent:
        assert parent.stdout is not None
        ready, _, _ = select.select([parent.stdout], [], [], DEADLINE_S)
        told = parent.stdout.readline() if ready else ""
        running = emulators(seen)
        parent.send_signal(signal.SIGKILL)
    assert told, "the parent said nothing"
    assert int(told) in running
    deadline = time.monotonic() + DEADLINE_S
    while emulators(seen) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert emulators(seen) == []
    mounts = Path("/proc/self/mounts").read_text()
    assert not any(str(place) in mounts for place in (seen, arm_root()))


def test_emulator_that_is_killed_is_one_error(bundle: Path, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    python = emulated(PI, seen, ENGINE).interpreter(ENGINE)
    with SubjectProcess(bundle, python=python) as subject:
        (child,) = emulators(seen)
        subprocess.run(["kill", "-9", str(child)], check=True)
        with pytest.raises(MeasurementError, match="killed by signal 9"):
            subject.answer(rows_of(1, 4))
    assert emulators(seen) == []
