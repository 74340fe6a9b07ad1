# SPDX-License-Identifier: Apache-2.0
"""`insight-edge bench` and a file of results: what is left out, what became slower, its history."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from insight_edge.bench.results import append_results, read_results
from insight_edge.documents.result import BenchResult
from tests.fakes.engine_bundles import onnx_artifact, weights_of, write_engine_bundle

pytest.importorskip("onnxruntime")

EDGE = Path(sys.executable).with_name("insight-edge")
QUICK = ("--threads", "1", "--rounds", "5", "--iterations", "50", "--warmup", "0", "--no-strict")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("files")
    write_engine_bundle(place / "one", "onnxruntime", onnx_artifact(weights_of(0)), weights_of(0))
    return place


@pytest.fixture(scope="module")
def found(folder: Path) -> BenchResult:
    """What a quiet machine would have found, whatever runs beside this test."""
    done = call(folder, "one", "-o", "first.jsonl", *QUICK)
    assert done.returncode == 0, done.stderr
    (result,) = read_results(folder / "first.jsonl")
    measurement = replace(result.measurement, verdict="VALID", reasons=())
    return replace(result, measurement=measurement)


def call(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [EDGE, "bench", *arguments], capture_output=True, text=True, check=False, cwd=folder
    )


def as_often(result: BenchResult, factor: float, times: int = 6) -> list[BenchResult]:
    """Return earlier runs of it, each a little different, all so many times as long."""
    p50 = result.measurement.p50_ms
    return [
        replace(
            result,
            at_s=result.at_s - 3600.0 * (at + 1),
            measurement=replace(
                result.measurement, p50_ms=replace(p50, value=factor * p50.value * (1 + at / 200))
            ),
        )
        for at in range(times)
    ]


def test_what_is_in_the_file_already_is_not_measured_again(
    folder: Path, found: BenchResult
) -> None:
    append_results(folder / "kept.jsonl", [found])
    flags = ("one", "-o", "kept.jsonl", "--continue", *QUICK, "--format", "json")
    done = call(folder, *flags)
    assert done.returncode == 0, done.stderr
    assert "one/onnxruntime-fp32 is in kept.jsonl already" in done.stderr
    assert json.loads(done.stdout)[0]["measurement"]["p50_ms"]["value"] == pytest.approx(
        found.measurement.p50_ms.value
    )
    again = call(folder, *(flag.replace("50", "60") for flag in flags))
    assert (again.returncode, again.stderr) == (0, "")
    assert len(read_results(folder / "kept.jsonl")) == 2


def test_slower_than_earlier_runs_is_exit_code_1_with_its_evidence(
    folder: Path, found: BenchResult
) -> None:
    append_results(folder / "fast.jsonl", as_often(found, 0.02))
    done = call(folder, "one", "--against", "fast.jsonl", *QUICK)
    assert done.returncode == 1
    assert "1 of 1 became slower: one/onnxruntime-fp32: REGRESSION: " in done.stderr
    assert "of 6 runs over 5 hours, ratio " in done.stderr
    assert "then as now: device: local; machine: " in done.stdout
    append_results(folder / "slow.jsonl", as_often(found, 50))
    better = call(folder, "one", "--against", "slow.jsonl", *QUICK, "--format", "json")
    assert better.returncode == 0
    change = json.loads(better.stdout)[0]["change"]
    assert (change["verdict"], change["runs"]) == ("faster", 6)


def test_other_conditions_are_refused_with_exit_code_3(folder: Path, found: BenchResult) -> None:
    host = replace(found.host, cpu_model="another")
    others = [replace(one, host=host) for one in as_often(found, 1)]
    append_results(folder / "other.jsonl", others)
    done = call(folder, "one", "--against", "other.jsonl", *QUICK)
    assert done.returncode == 3
    assert "was measured under other conditions: machine: another (" in done.stderr
    assert "p50 ms" in done.stdout, "what was measured is shown all the same"


def test_history_shows_each_result_and_its_change(folder: Path, found: BenchResult) -> None:
    append_results(folder / "history.jsonl", [*as_often(found, 2, times=2)[::-1], found])
    done = call(folder, "--history", "history.jsonl", "--format", "md")
    assert (done.returncode, done.stderr) == (0, "")
    head, _, first, second, last = done.stdout.splitlines()
    assert head.startswith(
        "| when | device | machine | model | variant | asked | threads | p50 ms |"
    )
    assert "| - |" in first
    assert "| -0.5% |" in second
    assert "| -50.0% |" in last


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "there is no bundle to measure"),
        (("one", "--continue"), 2, "--continue needs a file of results"),
        (("one", "--against", "nowhere.jsonl"), 2, "nowhere.jsonl: cannot be read"),
        (("--history", "nowhere.jsonl"), 2, "nowhere.jsonl: cannot be read"),
        (("--history", "hostile.jsonl"), 2, "hostile.jsonl, line 1: BenchResult: not JSON"),
    ],
)
def test_mistake_is_one_line_and_a_hint(
    arguments: tuple[str, ...], code: int, said: str, folder: Path
) -> None:
    (folder / "hostile.jsonl").write_bytes(b"[" * 100_000)
    done = call(folder, *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr.splitlines()[0]
    assert len(done.stderr.splitlines()) <= 2
