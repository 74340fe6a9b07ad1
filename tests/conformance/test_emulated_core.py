# SPDX-License-Identifier: Apache-2.0
"""The core of the runtime's suite on aarch64, under emulation: open, infer, count, swap, refuse."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from insight_edge.compile.targets.abroad import Abroad
from tests.conformance.conftest import FACTORIES
from tests.fakes.arm import emulated
from tests.fakes.device_packages import borrow_engine
from tests.fakes.engine_bundles import weights_of, write_engine_bundle

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
PI = "rpi5-8gb"

CORE = (
    "unit/runtime/test_boundary.py",
    "unit/runtime/test_infer.py",
    "unit/runtime/test_observation.py",
    "unit/runtime/test_selfcheck.py",
    "unit/bundle/test_slots.py",
    "unit/stats/test_summary.py",
    "integration/test_runtime_swap.py",
)
"""Tests that need no more than NumPy and pytest: all else here is for this machine's processor."""

NOT_THERE = "onnxruntime"
"""Makes its model by `onnx`, which no device has."""

ENGINES = ("onnxruntime", "tflite")
"""TVM's artifact is code of this machine's processor, and OpenVINO takes minutes to load."""

SUITE = """
import platform, sys
sys.path[:0] = sys.argv[1:2]
sys.path.append(sys.argv[2])  # pytest itself, behind what the environment has
import pytest
assert platform.machine() == "aarch64"
sys.exit(pytest.main(sys.argv[3:]))
"""
SERVING = """
import sys
sys.path.append(sys.argv[1])
from pathlib import Path
from tests.fakes.emulated_core import main
main(Path(sys.argv[2]))
"""


def run(
    found: Abroad, engine: str, code: str, *words: Path | str
) -> "subprocess.CompletedProcess[str]":
    python = found.interpreter(engine)
    return subprocess.run(
        [*python.command, "-c", code, *words],
        capture_output=True, text=True, check=False, cwd=ROOT,
        env={**(python.variables or {}), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )  # fmt: skip


def test_core_of_the_suite_passes_on_aarch64(tmp_path: Path) -> None:
    found = emulated(PI, tmp_path, "onnxruntime")
    options = ("-q", "--noconftest", "-p", "no:cacheprovider", "-k", f"not {NOT_THERE}")
    files = [f"tests/{name}" for name in CORE]
    pytest_at = Path(pytest.__file__).parents[1]
    done = run(found, "onnxruntime", SUITE, ROOT, pytest_at, *options, *files)
    assert done.returncode == 0, done.stdout + done.stderr
    sys.stdout.write(done.stdout)


@pytest.mark.parametrize("engine", ENGINES)
def test_engine_serves_on_aarch64(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "seen").mkdir()
    borrow_engine(engine, monkeypatch)
    found = emulated(PI, tmp_path / "seen", engine)
    for seed in (1, 2):
        weights = weights_of(seed)
        write_engine_bundle(tmp_path / str(seed), engine, FACTORIES[engine](weights), weights)
        np.save(tmp_path / f"{seed}.npy", weights)
    done = run(found, engine, SERVING, ROOT, tmp_path)
    assert (done.returncode, done.stdout) == (0, "as anywhere\n"), done.stderr
