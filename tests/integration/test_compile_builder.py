# SPDX-License-Identifier: Apache-2.0
"""`compile --builder`: what cannot be built here is built by a second process, as on a device."""

import json
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest

from insight_edge.bundle.open import open_bundle
from insight_edge.compile.toolchains.environments import environment_python
from insight_edge.errors import ToolchainMissingError
from tests.fakes.programs import TIMEOUT_S, Finished, program, remarks
from tests.fakes.sources import table_model, table_rows

pytestmark = pytest.mark.slow

TFLITE = '\n[engines.tflite]\nprecisions = ["fp32"]\n'

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def place(tmp_path: Path, here: Path) -> Path:
    """Return a directory with a model, rows, a folder to share and a profile with TFLite."""
    for name in ("toolchain-tflite", "device-tflite"):
        try:
            environment_python(name)
        except ToolchainMissingError as error:
            pytest.skip(str(error))
    onnx.save(table_model(), tmp_path / "table.onnx")
    np.savez(tmp_path / "rows.npz", x=table_rows(500))
    (tmp_path / "here.toml").write_text(here.read_text() + TFLITE)
    (tmp_path / "shared").mkdir()
    return tmp_path


@pytest.fixture
def workshop(tmp_path: Path) -> Path:
    """Return the interpreter of a machine that has the engine of TFLite and not its toolchain."""
    prefix = tmp_path / "workshop"
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", prefix], check=True, timeout=TIMEOUT_S
    )
    packages = prefix / Path(sysconfig.get_path("purelib")).relative_to(sys.prefix)
    also = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
    (packages / "installed.pth").write_text(also)
    (prefix / "environments").mkdir()
    for installed in (Path(sys.prefix) / "environments").glob("device-*"):
        (prefix / "environments" / installed.name).symlink_to(installed)
    return prefix / "bin" / "python"


@pytest.fixture
def builder(place: Path) -> Iterator[Start]:
    """Start `insight-edge toolchain work shared`; it is ended with the test."""
    running: list[subprocess.Popen[str]] = []

    def start(*words: str) -> "subprocess.Popen[str]":
        command = [program("insight-edge"), "toolchain", "work", "shared", *words]
        running.append(subprocess.Popen(command, cwd=place, stderr=subprocess.PIPE, text=True))
        wait_until((place / "shared" / "builder.json").exists)
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.communicate()


def wait_until(so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def compile_(python: Path, place: Path, *words: str) -> Finished:
    door = "import sys; from insight_edge.cli.main import main; sys.exit(main())"
    usual = ("--profile", "here.toml", "--rounds", "5", "-o", "bundle", "--format", "json",
             "--calibration", "rows.npz")  # fmt: skip
    return subprocess.run(
        [python, "-c", door, "compile", "-m", "table.onnx", *usual, *words],
        cwd=place,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def test_toolchain_that_is_missing_here_is_used_there(
    workshop: Path, builder: Start, place: Path
) -> None:
    alone = compile_(workshop, place, "--target", "tflite:fp32")
    assert alone.returncode == 4, alone.stderr
    device = builder("--once")
    done = compile_(workshop, place, "--target", "tflite:fp32", "--builder", "shared")
    assert done.returncode == 0, done.stderr
    (trial,) = json.loads(done.stdout)
    assert trial["chosen"]
    assert trial["proof"]["verdict"] == "PROVEN"
    assert trial["built_on"]
    assert "--builder shared" in trial["reproduce"]
    manifest = open_bundle(place / "bundle", allow_unsigned=True).manifest
    assert manifest.provenance.toolchain["onnx2tf"]
    assert manifest.provenance.toolchain_locks["tflite"]
    said = device.communicate(timeout=TIMEOUT_S)[1]
    assert "tflite:fp32 of sha256:" in said
    assert device.returncode == 0


def test_what_can_be_built_here_is_built_here(place: Path, builder: Start, workshop: Path) -> None:
    builder()
    done = compile_(workshop, place, "--target", "onnxruntime:fp32", "--builder", "shared")
    assert done.returncode == 0, done.stderr
    (trial,) = json.loads(done.stdout)
    assert trial["built_on"] == ""


def test_folder_without_a_builder_is_a_mistake(place: Path, workshop: Path) -> None:
    done = compile_(workshop, place, "--builder", "shared")
    assert done.returncode == 2
    error, hint = remarks(done.stderr)
    assert error == "error: shared: no builder works there"
    assert hint.endswith("insight-edge toolchain work shared")


def test_second_builder_of_a_folder_is_refused(place: Path, builder: Start) -> None:
    builder()
    second = subprocess.run(
        [program("insight-edge"), "toolchain", "work", "shared"],
        cwd=place, capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    assert second.returncode == 2
    assert "another builder is using it" in second.stderr


def test_builder_that_is_told_to_stop_retracts_what_it_said(place: Path, builder: Start) -> None:
    device = builder()
    device.send_signal(signal.SIGTERM)
    device.communicate(timeout=TIMEOUT_S)
    assert device.returncode == 0
    assert not (place / "shared" / "builder.json").exists()
