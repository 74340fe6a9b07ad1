# SPDX-License-Identifier: Apache-2.0
"""A model of 1.9 GB, near the most that protobuf reads, through the verbs in bounded memory.

The bound is on the resident memory of all processes of a verb together, as far
as it is seen. It takes minutes and is left out where there is no room for it.
"""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from insight_edge.bundle.process_tree import kill_tree, process_tree
from insight_edge.compile.toolchains.processes import resident_bytes
from insight_edge.runtime import Runtime
from insight_edge.runtime.memory import available_bytes
from tests.fakes.large_models import LARGE_BYTES, sparse_model
from tests.fakes.programs import program

GIB = 2**30
CHECK_BYTES = 5 * GIB
"""3.6 GiB were measured: the child that examines the model, twice its size."""

COMPILE_BYTES = 9 * GIB
"""7.3 GiB were measured: the source model in one process while an engine loads it in another."""

DISK_BYTES = 12 * 10**9
"""Of the job, the artifact, its draft and the bundle, each as large as the model."""

TIMEOUT_S = 1800
POLL_S = 0.05

pytestmark = [pytest.mark.slow, pytest.mark.long]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("large")
    if available_bytes() < COMPILE_BYTES + 2 * GIB:
        pytest.skip(f"{available_bytes() / GIB:.1f} GiB of memory are free, 11 are needed")
    if shutil.disk_usage(folder).free < DISK_BYTES:
        pytest.skip("12 GB of disk are needed")
    sparse_model(folder / "m.onnx", LARGE_BYTES)
    return folder


def call(place: Path, *words: str | Path) -> tuple[int, str, str, int]:
    """Return how a verb ended, what it printed and said, and the most memory it was seen with."""
    with (place / "out").open("w+") as out, (place / "err").open("w+") as err:
        process = subprocess.Popen(
            [program("insight-edge"), *words],
            cwd=place,
            stdout=out,
            stderr=err,
            start_new_session=True,
            env=os.environ | {"TMPDIR": str(place)},
        )
        peak_bytes, deadline = 0, time.monotonic() + TIMEOUT_S
        try:
            while process.poll() is None and time.monotonic() < deadline:
                peak_bytes = max(peak_bytes, resident_bytes(process_tree(process.pid)))
                time.sleep(POLL_S)
        finally:
            kill_tree(process.pid)
            process.wait()
        return (
            process.returncode,
            (place / "out").read_text(),
            (place / "err").read_text(),
            peak_bytes,
        )


def test_check_reads_it_in_bounded_memory(place: Path, here: Path) -> None:
    code, printed, said, peak_bytes = call(
        place, "check", "-m", "m.onnx", "--profile", here, "--format", "json"
    )
    assert code == 0, said
    assert json.loads(printed)["workload"]["parameter_bytes"] > 0.99 * LARGE_BYTES
    assert peak_bytes < CHECK_BYTES


def test_compile_ships_it_in_bounded_memory(place: Path, here: Path) -> None:
    code, printed, said, peak_bytes = call(
        place, "compile", "-m", "m.onnx", "--profile", here, "--target", "onnxruntime:fp32",
        "--accept-unproven", "--format", "json", "-o", "b",
    )  # fmt: skip
    assert code == 0, said
    [trial] = json.loads(printed)
    assert trial["chosen"]
    assert trial["artifact_bytes"] > 0.99 * LARGE_BYTES
    assert peak_bytes < COMPILE_BYTES
    with Runtime.open(place / "b", allow_unsigned=True) as runtime:
        row = np.ones((1, LARGE_BYTES // 4096), np.float32)
        answer = runtime.infer({"x": row}).outputs["y"]
    assert answer.shape == (1, 1024)
