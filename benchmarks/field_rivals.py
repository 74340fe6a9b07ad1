# SPDX-License-Identifier: Apache-2.0
"""The benchmark programs that engines and toolchains come with, each as its makers ship it.

Every one is started as a program of its own on the artifact that our bundle ships, with one thread,
one stream, one request at a time and single precision, and says one figure, which is read.
What it cannot be told by a flag is told as its documentation says: ONNX Runtime's has no flag for
threads, and takes them from the model (`ORT_LOAD_CONFIG_FROM_MODEL`).
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import onnx

from insight_edge.compile.toolchains.environments import environment_python
from insight_edge.errors import MeasurementError

TIMEOUT_S = 300
WARM_UP = 50
Statistic = Literal["p50", "mean"]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What every program is asked.

    Attributes:
        artifact: that our bundle ships.
        input: its name.
        shape: of one query.
        times: timed inferences.
        folder: to write into.
    """

    artifact: Path
    input: str
    shape: tuple[int, ...]
    times: int
    folder: Path


@dataclass(frozen=True, kw_only=True)
class Rival:
    """A program that is not ours.

    Attributes:
        name: as people know it.
        engine: that it times.
        statistic: that it tells, in milliseconds.
        rounding_ms: half of the last digit that it tells.
        environment: that it is in; None for this one.
        command: given the folder of that environment's programs.
        read: the figure, of what it printed and the folder that it wrote into.
        told: variables of its environment.
    """

    name: str
    engine: str
    statistic: Statistic
    rounding_ms: float
    environment: str | None
    command: Callable[[Path, Asked], list[str]]
    read: Callable[[str, Path], float]
    told: Mapping[str, str] = field(default_factory=dict)


NOT_HERE = {
    "Triton perf_analyzer": (
        "its wheel (perf-analyzer 2.60) is for glibc 2.38 and newer, which this project's "
        f"machines do not have (here {os.confstr('CS_GNU_LIBC_VERSION')}): nobody ran it on `serve`"
    ),
    "onnxruntime_perf_test": "no wheel has it; onnxruntime_test, which the wheel has, was taken",
    "LiteRT benchmark_model (C++)": "no wheel has it; litert-benchmark, which has one, was taken",
}
"""Programs that people would ask for, and why there is no figure of them."""


def run(rival: Rival, asked: Asked) -> float:
    """Return what a program says, in milliseconds.

    Raises:
        ToolchainMissingError: the environment that it is in is not installed.
        MeasurementError: it failed, hung, or said no figure.
    """
    bin_ = Path(sys.executable).parent
    if rival.environment is not None:
        bin_ = environment_python(rival.environment).parent
    try:
        done = subprocess.run(
            rival.command(bin_, asked),
            cwd=asked.folder,
            env={**os.environ, "PYTHONPATH": "", **rival.told},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=TIMEOUT_S,
            check=False,
            encoding="utf-8",
            errors="replace",
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MeasurementError(f"{rival.name}: {error}") from error
    if done.returncode:
        last = (done.stdout.strip().splitlines() or ["it said nothing"])[-1]
        raise MeasurementError(f"{rival.name}: {last}")
    try:
        return rival.read(done.stdout, asked.folder)
    except (LookupError, ValueError, OSError) as error:
        raise MeasurementError(f"{rival.name} said no figure: {error}") from error


def with_one_thread(model: Path, place: Path) -> Path:
    """Write an ONNX file again with the settings of one thread inside, and return where."""
    copied = onnx.load(model)
    settings = {"intra_op_num_threads": 1, "inter_op_num_threads": 1}
    kept = copied.metadata_props.add()
    kept.key, kept.value = "ort_config", json.dumps({"session_options": settings})
    place.mkdir(exist_ok=True)
    onnx.save(copied, place / model.name)
    return place / model.name


def _benchmark_app(bin_: Path, asked: Asked) -> list[str]:
    shape = ",".join(map(str, asked.shape))
    return [
        str(bin_ / "benchmark_app"), "-m", str(asked.artifact), "-d", "CPU", "-hint", "none",
        "-api", "sync", "-nstreams", "1", "-nthreads", "1", "-nireq", "1",
        "-infer_precision", "f32", "-data_shape", f"[{shape}]", "-niter", str(asked.times),
        "-report_type", "no_counters", "-json_stats", "-report_folder", str(asked.folder),
    ]  # fmt: skip


def _read_benchmark_app(_: str, folder: Path) -> float:
    report = json.loads((folder / "benchmark_report.json").read_bytes())
    return float(report["execution_results"]["latency (ms)"])


def _onnxruntime_test(bin_: Path, asked: Asked) -> list[str]:
    model = with_one_thread(asked.artifact, asked.folder)
    return [str(bin_ / "onnxruntime_test"), str(model), str(asked.times)]


def _read_onnxruntime_test(printed: str, _: Path) -> float:
    found = re.search(r"avg latency: ([0-9.e-]+) ms", printed)
    return float((found or [])[1])


def _olive(bin_: Path, asked: Asked) -> list[str]:
    script = Path(__file__).with_name("field_olive.py")
    shape = json.dumps(asked.shape)
    often = str(WARM_UP), str(asked.times)
    return [str(bin_ / "python"), str(script), str(asked.artifact), asked.input, shape, *often]


def _litert_benchmark(bin_: Path, asked: Asked) -> list[str]:
    return [
        str(bin_ / "litert-benchmark"), "--model", str(asked.artifact), "--num_threads", "1",
        "--num_runs", str(asked.times), "--warmup_runs", str(WARM_UP),
        "--result_json", str(asked.folder / "litert.json"),
    ]  # fmt: skip


def _read_litert_benchmark(_: str, folder: Path) -> float:
    return float(json.loads((folder / "litert.json").read_bytes())["latency"]["median_ms"])


RIVALS = (
    Rival(
        name="benchmark_app",
        engine="openvino",
        statistic="p50",
        rounding_ms=0.005,
        environment=None,
        command=_benchmark_app,
        read=_read_benchmark_app,
        told={"CI": "true"},  # its telemetry sends usage data home otherwise
    ),
    Rival(
        name="onnxruntime_test",
        engine="onnxruntime",
        statistic="mean",
        rounding_ms=0.0,
        environment=None,
        command=_onnxruntime_test,
        read=_read_onnxruntime_test,
        told={"ORT_LOAD_CONFIG_FROM_MODEL": "1"},
    ),
    Rival(
        name="Olive's latency metric",
        engine="onnxruntime",
        statistic="p50",
        rounding_ms=5e-6,
        environment="toolchain-peers",
        command=_olive,
        read=lambda printed, _: float(printed.strip().splitlines()[-1]),
        told={"OLIVE_DISABLE_TELEMETRY": "1"},
    ),
    Rival(
        name="litert-benchmark",
        engine="tflite",
        statistic="p50",
        rounding_ms=0.005,
        environment="toolchain-tflite",
        command=_litert_benchmark,
        read=_read_litert_benchmark,
    ),
)
