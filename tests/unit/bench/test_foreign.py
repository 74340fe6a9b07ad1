# SPDX-License-Identifier: Apache-2.0
"""Reports of other tools: what they say is read, and is never taken for a measurement."""

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_edge.bench.foreign import reading
from insight_edge.bench.foreign.reading import foreign_from, read_report
from insight_edge.bench.results import append_results, read_foreign, read_results
from insight_edge.cli.bench_history import show_history
from insight_edge.documents.codec import decode_json, encode_json
from insight_edge.documents.foreign import ForeignResult
from insight_edge.errors import ConfigurationError, DocumentError, InputError, LimitExceededError
from tests.golden.record import RESULT

LOADGEN = """================================================
MLPerf Results Summary
================================================
SUT name : LWIS_Server
Scenario : SingleStream
Mode     : PerformanceOnly
90th percentile latency (ns) : 640258
Result is : VALID
  Min duration satisfied : Yes
Min latency (ns)                : 623363
Mean latency (ns)               : 636375
50.00 percentile latency (ns)   : 636227
99.90 percentile latency (ns)   : 649539
"""
APP = {
    "cmd_options": {"-m": "net.xml", "-nthreads": "1", "-infer_precision": "f32"},
    "configuration_setup": {"target device": "CPU", "API": "sync", "number of CPU streams": "1"},
    "execution_results": {
        "total number of iterations": "534", "latency (ms)": "1.85", "avg latency": "1.86",
        "min latency": "1.80", "max latency": "2.71", "throughput": "533.97",
    },
}  # fmt: skip
APP_CSV = """Command line parameters
-m;net.xml
-nthreads;1
-infer_precision;f32

Configuration setup
target device;CPU
API;sync
number of CPU streams;1

Execution results
total number of iterations;534
latency (ms);1.85
avg latency;1.86
min latency;1.80
max latency;2.71
throughput;533.97

"""
TIMES = [{"startH2dMs": 0.1, "computeMs": ms, "latencyMs": ms} for ms in (1.0, 1.2, 5.0)]
LLAMA = [
    {
        "build_commit": "8cf427ff", "model_filename": "m.gguf", "cpu_info": "AMD", "gpu_info": "",
        "n_threads": 8, "n_prompt": 512, "n_gen": 0, "avg_ns": 68_000_000, "avg_ts": 7500.5,
        "samples_ns": [68_000_000],
    }
]  # fmt: skip
LLAMA_CSV = (
    "build_commit,model_filename,cpu_info,gpu_info,n_threads,n_prompt,n_gen,avg_ns,avg_ts\n"
    '"8cf427ff","m.gguf","AMD","","8","512","0","68000000","7500.5"\n'
)


def only(text: str) -> ForeignResult:
    [found] = foreign_from(text.encode(), "report", "report")
    return found


def test_loadgen_says_percentiles_and_its_own_verdict() -> None:
    found = only(LOADGEN)
    assert found.latency_ms == {"p50": 0.636227, "p99.9": 0.649539, "mean": 0.636375,
                                "min": 0.623363}  # fmt: skip
    assert (found.scenario, found.said, found.threads) == ("SingleStream", "VALID", None)


def test_benchmark_app_says_the_same_in_json_and_csv() -> None:
    one, other = only(json.dumps(APP)), only(APP_CSV)
    assert msgspec.structs.replace(one, sha256="") == msgspec.structs.replace(other, sha256="")
    assert one.latency_ms == {"p50": 1.85, "mean": 1.86, "min": 1.8, "max": 2.71}
    assert (one.threads, one.iterations, one.throughput_per_s) == (1, 534, 533.97)
    assert (one.model, one.precision, one.scenario) == ("net.xml", "f32", "sync 1 streams")


def test_trtexec_says_a_latency_each_inference() -> None:
    found = only(json.dumps(TIMES))
    assert found.latency_ms == {"p50": 1.2, "mean": pytest.approx(2.4), "min": 1.0, "max": 5.0}
    assert (found.iterations, found.target) == (3, "tensorrt")


def test_llama_bench_says_the_same_in_json_and_csv() -> None:
    one, other = only(json.dumps(LLAMA)), only(LLAMA_CSV)
    assert msgspec.structs.replace(one, sha256="") == msgspec.structs.replace(other, sha256="")
    assert (one.throughput_per_s, one.throughput_of) == (7500.5, "tokens")
    assert (one.latency_ms, one.device) == ({"mean": 68.0}, "AMD")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no report of a benchmark that is known here"),
        ("{}", "no report"),
        ("[]", "no report"),
        ('[{"latencyMs": 1}, 2]', "no report"),
        ("[" * 100_000, "no report"),
        ("MLPerf Results Summary\n", "neither a latency nor a throughput"),
        ('[{"latencyMs": "NaN"}]', "neither a latency nor a throughput"),
        ('{"execution_results": {"latency (ms)": "-1"}}', "neither a latency nor a throughput"),
    ],
)
def test_what_is_no_report_is_one_line(text: str, said: str) -> None:
    with pytest.raises(DocumentError, match=said) as caught:
        only(text)
    assert "\n" not in str(caught.value)


@given(st.binary(max_size=60) | st.sampled_from((LOADGEN, APP_CSV, LLAMA_CSV)).map(str.encode))
def test_any_bytes_are_a_report_or_refused(data: bytes) -> None:
    try:
        found = foreign_from(data, "report", "report")
    except InputError:
        return
    assert all(decode_json(ForeignResult, encode_json(one)) == one for one in found)


def test_a_name_in_a_report_is_text_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    named = {**LLAMA[0], "model_filename": "\x1b[31m[/red]m", "cpu_info": "[/blue]" + "x" * 999}
    found = only(json.dumps([named]))
    assert found.model == "[31m[/red]m"
    show_history((), "table", (found,))
    assert "[/blue]" in capsys.readouterr().out


def test_a_file_that_is_not_there_or_too_long_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_report(tmp_path / "nothing")
    file = tmp_path / "report.json"
    file.write_text(json.dumps(APP))
    assert read_report(file)[0].source == "report.json"
    monkeypatch.setattr(reading, "MAX_BYTES", 9)
    with pytest.raises(LimitExceededError, match="more than"):
        read_report(file)


def test_what_is_foreign_lies_beside_what_was_measured_and_is_never_read_as_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, reported = tmp_path / "results.jsonl", only(APP_CSV)
    append_results(file, [reported, RESULT])
    append_results(file, [only(LOADGEN)])
    assert read_results(file) == (RESULT,)
    assert read_foreign(file) == (reported, only(LOADGEN))
    show_history(read_results(file), "csv", read_foreign(file))
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 4
    assert "unverified: OpenVINO benchmark_app" in rows[2]
    assert "unverified: MLPerf LoadGen, which says VALID" in rows[3]
    assert "1.85" in rows[2]


def test_a_result_is_not_made_a_report_by_a_name_in_it(tmp_path: Path) -> None:
    named = msgspec.structs.replace(RESULT, device='"reported_by"')
    append_results(tmp_path / "r", [named])
    assert read_results(tmp_path / "r") == (named,)
