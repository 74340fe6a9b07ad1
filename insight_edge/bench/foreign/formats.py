# SPDX-License-Identifier: Apache-2.0
"""What reports of other tools say, by format: pure functions of text.

Each takes the text and returns the fields of `ForeignResult` that are in it, one mapping a run, or
None where the text is of another tool. A figure that is not there, or is no finite number of at
least 0, is left out.
"""

import csv
import io
import json
import math
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Fields = dict[str, Any]
Runs = list[Fields] | None


def mlperf(text: str) -> Runs:
    """Return what `mlperf_log_summary.txt` of LoadGen says."""
    if "MLPerf Results Summary" not in text:
        return None
    pairs = re.findall(r"^\s*(.*?)\s*:\s*(.*?)\s*$", text, re.MULTILINE)
    told = {name.lower(): value for name, value in reversed(pairs)}
    found = {"mean": "mean", "min": "min", "max": "max"}
    latency = {name: _ms(told.get(f"{word} latency (ns)"), 1e6) for word, name in found.items()}
    for name, value in told.items():
        if at := re.fullmatch(r"([0-9.]+) percentile latency \(ns\)", name):
            latency[f"p{float(at[1]):g}"] = _ms(value, 1e6)
    rate = told.get("samples per second") or told.get("completed samples per second")
    return [
        _of("MLPerf LoadGen", latency, scenario=told.get("scenario", ""),
            said=told.get("result is", ""), throughput_per_s=_number(rate))
    ]  # fmt: skip


def benchmark_app(text: str) -> Runs:
    """Return what OpenVINO's `benchmark_app` says, by `-json_stats` or as CSV."""
    told = _sections(text)
    if told is None or "execution_results" not in told:
        return None
    flags, setup, found = (
        told.get(name) or {} for name in ("cmd_options", "configuration_setup", "execution_results")
    )
    words = {
        "latency (ms)": "p50",
        "avg latency": "mean",
        "min latency": "min",
        "max latency": "max",
    }
    return [
        _of("OpenVINO benchmark_app",
            {name: _number(found.get(word)) for word, name in words.items()},
            model=str(flags.get("-m") or setup.get("topology") or ""),
            device=str(setup.get("target device", "")),
            target="openvino",
            precision=str(flags.get("-infer_precision", "")),
            scenario=f"{setup.get('API', '')} {setup.get('number of CPU streams', '?')} streams",
            threads=_count(flags.get("-nthreads")),
            iterations=_count(found.get("total number of iterations")),
            throughput_per_s=_number(found.get("throughput")))
    ]  # fmt: skip


def trtexec(text: str) -> Runs:
    """Return what `trtexec --exportTimes` says: a latency each inference."""
    rows = _rows(text)
    if rows is None or not all("latencyMs" in row for row in rows):
        return None
    taken = [ms for ms in (_number(row["latencyMs"]) for row in rows) if ms is not None]
    latency = {}
    if taken:
        latency = {"p50": statistics.median(taken), "mean": statistics.fmean(taken),
                   "min": min(taken), "max": max(taken)}  # fmt: skip
    return [_of("trtexec", latency, target="tensorrt", iterations=len(taken))]


def llama_bench(text: str) -> Runs:
    """Return what `llama-bench` says in JSON or CSV, a run each test."""
    rows = _rows(text)
    if rows is None and text.lstrip().startswith("build_commit,"):
        rows = list(csv.DictReader(io.StringIO(text.lstrip())))
    if rows is None or not all("avg_ts" in row and "avg_ns" in row for row in rows):
        return None
    return [
        _of("llama-bench", {"mean": _ms(row.get("avg_ns"), 1e6)},
            model=str(row.get("model_filename") or row.get("model_type") or ""),
            device=str(row.get("gpu_info") or row.get("cpu_info") or ""),
            target="llama.cpp",
            scenario=f"{row.get('n_prompt', 0)} prompt and {row.get('n_gen', 0)} generated tokens",
            threads=_count(row.get("n_threads")),
            throughput_per_s=_number(row.get("avg_ts")), throughput_of="tokens")
        for row in rows
    ]  # fmt: skip


FORMATS: Mapping[str, Callable[[str], Runs]] = {
    "MLPerf's mlperf_log_summary.txt": mlperf,
    "benchmark_app's report (JSON, CSV)": benchmark_app,
    "trtexec --exportTimes": trtexec,
    "llama-bench -o json or csv": llama_bench,
}
"""By what people call them."""


def _of(tool: str, latency_ms: Mapping[str, float | None], **more: Any) -> Fields:
    told = {name: ms for name, ms in latency_ms.items() if ms is not None}
    return {"reported_by": tool, "latency_ms": told, **more}


def _sections(text: str) -> Mapping[str, Mapping[str, Any]] | None:
    """Return the sections of benchmark_app's report, whichever way it was written."""
    found = _json(text)
    if isinstance(found, dict):
        return {name: part for name, part in found.items() if isinstance(part, dict)}
    if not text.startswith("Command line parameters"):
        return None
    names = {"Command line parameters": "cmd_options", "Configuration setup": "configuration_setup",
             "Execution results": "execution_results"}  # fmt: skip
    made: dict[str, dict[str, Any]] = {}
    for line in text.splitlines():
        key, semicolon, value = line.partition(";")
        if key in names:
            made[names[key]] = {}
        elif semicolon and made:
            list(made.values())[-1][key] = value
    return made


def _rows(text: str) -> Sequence[Mapping[str, Any]] | None:
    found = _json(text)
    if not isinstance(found, list) or not found:
        return None
    return found if all(isinstance(row, dict) for row in found) else None


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _ms(value: Any, per_ms: float) -> float | None:
    found = _number(value)
    return None if found is None else found / per_ms


def _number(value: Any) -> float | None:
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) and found >= 0 else None


def _count(value: Any) -> int | None:
    found = _number(value)
    return None if found is None or found != int(found) else int(found)
