# SPDX-License-Identifier: Apache-2.0
"""`insight-edge bench` and `compare` on real bundles, from the command line to the exit code."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from insight_edge.bench.results import read_results
from insight_edge.bundle.npz import npz_from_arrays
from insight_edge.documents.codec import decode_json, encode_json, from_plain
from insight_edge.documents.evidence import Comparison, Measurement
from insight_edge.documents.manifest import Manifest
from tests.fakes.engine_bundles import (
    fake_artifact,
    onnx_artifact,
    rows_of,
    weights_of,
    write_engine_bundle,
)

pytest.importorskip("onnxruntime")

EDGE = Path(sys.executable).with_name("insight-edge")
TOKEN = "onnxruntime"
QUICK = ["--threads", "1", "--rounds", "6", "--iterations", "60", "--no-strict"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two bundles of one small model, and a much larger one that has two variants."""
    place = tmp_path_factory.mktemp("bundles")
    for name in ("small", "[same]"):
        write_engine_bundle(place / name, TOKEN, onnx_artifact(weights_of(0)), weights_of(0))
    large = weights_of(0, 1000, 1000)
    write_engine_bundle(place / "large", TOKEN, onnx_artifact(large), large, also=["twin"])
    small = weights_of(0)
    write_engine_bundle(place / "foreign", TOKEN, onnx_artifact(small), small, isa=("sve9",))
    write_engine_bundle(place / "half", TOKEN, onnx_artifact(small), small, also=["twin"])
    file = place / "half/manifest.json"
    manifest = decode_json(Manifest, file.read_bytes())
    winner, twin = manifest.variants
    variants = (replace(winner, isa=("sve9",)), twin)
    file.write_bytes(encode_json(replace(manifest, variants=variants)))
    write_engine_bundle(place / "unknown", "nobody", fake_artifact(small), small)
    return place


def call(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [EDGE, *arguments], capture_output=True, text=True, check=False, cwd=folder
    )


def data(folder: Path, *arguments: str) -> Any:
    done = call(folder, *arguments, "--format", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_bench_prints_a_measurement_of_every_bundle(folder: Path) -> None:
    first, second = data(folder, "bench", "small", "large", *QUICK)
    measurements = [from_plain(Measurement, one["measurement"]) for one in (first, second)]
    assert [one["variant"] for one in (first, second)] == ["onnxruntime-fp32"] * 2
    assert first["bundle"].startswith("sha256:")
    assert all((one.iterations, one.rounds, one.threads) == (60, 6, 1) for one in measurements)
    assert measurements[1].p50_ms.value > 2 * measurements[0].p50_ms.value


def test_bench_shows_a_table_a_person_can_read(folder: Path) -> None:
    done = call(folder, "bench", "small", "[same]", *QUICK)
    assert (done.returncode, done.stderr) == (0, "")
    assert "small/onnxruntime-fp32" in done.stdout
    assert "[same]/onnxruntime-fp32" in done.stdout
    for column in ("p50 ms", "p90 ms", "p99 ms", "first ms", "load ms", "RSS MiB", "verdict"):
        assert column in done.stdout


def test_bench_asks_the_rows_of_a_file(folder: Path) -> None:
    (folder / "rows.npz").write_bytes(npz_from_arrays(rows_of(0, 5)))
    assert data(folder, "bench", "small", "--input", "rows.npz", *QUICK)


def test_bench_measures_the_variant_that_is_named(folder: Path) -> None:
    (found,) = data(folder, "bench", "large", "--variant", "twin", *QUICK)
    assert found["variant"] == "twin"


def test_bench_says_what_it_left_out_as_warm_up(folder: Path) -> None:
    (found,) = data(folder, "bench", "small", *QUICK)
    left_out = from_plain(Measurement, found["measurement"]).warm_up
    assert left_out is not None
    assert left_out.calls > 10
    assert left_out.duration_s >= 0.1
    done = call(folder, "bench", "small", "--warmup", "0", *QUICK[:-1])
    assert done.returncode == 3
    assert "not steady after" in done.stderr


def test_variant_for_this_processor_is_measured_though_the_winner_is_for_another(
    folder: Path,
) -> None:
    (found,) = data(folder, "bench", "half", "--variant", "twin", *QUICK)
    assert found["variant"] == "twin"


def test_bench_leaves_every_measurement_in_a_file_with_its_samples(folder: Path) -> None:
    place = folder / "results.jsonl"
    flags = ("--variant", "onnxruntime-fp32", "--variant", "twin", "-o", str(place))
    shown = data(folder, "bench", "large", *flags, "--device", "desk", *QUICK)
    all_ = ("--variant", "all", "-o", str(place), "--samples", "12")
    data(folder, "bench", "small", *all_, *QUICK)
    winner, twin, small = read_results(place)
    assert [winner.variant, twin.variant] == ["onnxruntime-fp32", "twin"]
    assert winner.run == twin.run != small.run
    assert (winner.device, small.device, winner.profile) == ("desk", "local", small.profile)
    assert from_plain(Measurement, shown[1]["measurement"]) == twin.measurement
    assert [len(one) for one in twin.samples_ms] == [10] * 6
    assert [len(one) for one in small.samples_ms] == [2] * 6
    medians = [float(np.median(samples)) for samples in twin.samples_ms]
    assert twin.rounds_p50_ms == pytest.approx(medians, abs=1e-6)
    assert winner.artifact == twin.artifact != small.artifact
    assert winner.packages["numpy"] == np.__version__
    assert winner.host.engines[TOKEN].version in winner.packages[TOKEN]


def test_bench_keeps_no_negative_number_of_samples(folder: Path) -> None:
    done = call(folder, "bench", "small", "--samples=-1", *QUICK)
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        2,
        "error: --samples is -1, no fewer than 0 can be kept",
    )


def test_bench_exits_3_and_prints_when_a_measurement_is_not_valid(folder: Path) -> None:
    done = call(folder, "bench", "small", "--rounds", "2", "--format", "json")
    assert done.returncode == 3
    assert json.loads(done.stdout)[0]["measurement"]["verdict"] == "INVALID"
    error, hint = done.stderr.splitlines()
    assert error == (
        "error: 1 of 1 measurements are not VALID: "
        "small/onnxruntime-fp32: INVALID: 2 rounds, 5 are needed"
    )
    assert "--no-strict" in hint


def test_bench_takes_as_many_inferences_as_a_percentile_needs(folder: Path) -> None:
    flags = ("--threads", "1", "--rounds", "6", "--no-strict", "--percentile", "99.9,75")
    (found,) = data(folder, "bench", "large", *flags)
    measurement = from_plain(Measurement, found["measurement"])
    assert list(measurement.percentiles_ms) == ["p75", "p99.9"]
    assert measurement.iterations >= 6636
    assert measurement.verdict != "INVALID"
    wanted = ("--percentile", "50,75,99.9", "--format", "md")
    shown = call(folder, "bench", "small", *QUICK, *wanted).stdout
    assert "| p50 ms | p75 ms | p99.9 ms |" in shown
    assert "[" in shown.splitlines()[2], "the p50 keeps its interval"


def test_bench_asks_several_rows_at_a_time(folder: Path) -> None:
    flags = ("--scenario", "offline", "--streams", "4", *QUICK)
    (found,) = data(folder, "bench", "large", *flags)
    measurement = from_plain(Measurement, found["measurement"])
    assert (measurement.scenario, measurement.rows, measurement.load) == ("offline", 4, None)
    assert measurement.region.startswith("4 rows, in one inference where the batch is free")
    rate = measurement.throughput_per_s
    assert rate is not None
    assert rate.value == pytest.approx(4e3 / measurement.mean_ms, rel=0.9)
    shown = call(folder, "bench", "large", "--scenario", "multi-stream", *QUICK).stdout
    assert shown.startswith("Multi-stream latency of 8 rows, 1 thread; timed: 8 rows")
    assert "rows/s" in shown


def test_bench_asks_at_a_rate(folder: Path) -> None:
    flags = (
        "--scenario",
        "server",
        "--rate",
        "400",
        "--duration",
        "0.6",
        *QUICK[:4],
        "--no-strict",
    )
    first, second = data(folder, "bench", "small", "large", *flags)
    load, other = (from_plain(Measurement, one["measurement"]).load for one in (first, second))
    assert load is not None
    assert other is not None
    assert load.offered == other.offered == load.answered + load.dropped
    assert 150 < load.offered < 350
    assert 0 < load.busy_share < 1
    assert load.deadline_ms is None


def test_bench_says_that_a_rate_was_not_held(folder: Path) -> None:
    flags = ("--scenario", "server", "--rate", "1e6", "--duration", "0.2", *QUICK[:4])
    done = call(folder, "bench", "large", *flags)
    assert done.returncode == 3
    assert "INVALID: 1e+06 queries a second were not held" in done.stderr.splitlines()[0]


def test_bench_counts_the_misses_of_a_sensor(folder: Path) -> None:
    flags = ("--scenario", "sensor", "--period", "5", "--deadline", "0.001", "--duration", "0.6")
    (found,) = data(folder, "bench", "large", *flags, *QUICK[:4], "--no-strict")
    load = from_plain(Measurement, found["measurement"]).load
    assert load is not None
    assert (load.offered, load.misses, load.deadline_ms) == (120, 120, 0.001)


def test_bench_pins_to_the_processors_that_are_named(folder: Path) -> None:
    cpu = str(max(os.sched_getaffinity(0)))
    (found,) = data(folder, "bench", "small", "--cpus", cpu, *QUICK[2:])
    assert from_plain(Measurement, found["measurement"]).threads == 1


def test_bench_says_how_a_long_run_kept_its_speed(folder: Path) -> None:
    (found,) = data(folder, "bench", "large", "--sustained", "1.5", *QUICK)
    kept = from_plain(Measurement, found["measurement"]).sustained
    assert kept is not None
    assert kept.duration_s >= 1.5
    assert kept.ratio_low <= kept.ratio <= kept.ratio_high
    assert kept.iterations > 100


def test_bench_reads_energy_or_says_what_it_looked_for(folder: Path) -> None:
    (found,) = data(folder, "bench", "small", "--energy", "0.4", *QUICK)
    measurement = from_plain(Measurement, found["measurement"])
    names = [one.source for one in measurement.energy] + list(measurement.energy_absent)
    for name in ("RAPL", "NVML", "Jetson INA3221"):
        assert any(told.startswith(name) for told in names)
    assert all(one.duration_s >= 0.4 for one in measurement.energy)


def test_bench_lasts_as_long_as_it_is_told(folder: Path) -> None:
    (found,) = data(folder, "bench", "large", "--duration", "0.5", *QUICK[:4], "--no-strict")
    measurement = from_plain(Measurement, found["measurement"])
    assert measurement.iterations * measurement.mean_ms > 250


def test_bench_says_how_many_inferences_a_percentile_lacks(folder: Path) -> None:
    done = call(folder, "bench", "small", *QUICK[:-1], "--percentile", "99.9")
    assert done.returncode == 3
    assert "p99.9 needs 6636 inferences, 6576 more than there are" in done.stderr.splitlines()[0]
    assert "INVALID" in done.stdout


def test_compare_finds_which_of_two_bundles_is_faster(folder: Path) -> None:
    quick = ["--threads", "1", "--launches", "6", "--rounds", "3", "--iterations", "30"]
    cpu = str(min(os.sched_getaffinity(0)))
    kept = ["--cpus", cpu, "--seed", "3", "-o", "launches.jsonl", "--samples", "6", "--no-strict"]
    (shown,) = data(folder, "compare", "small", "large", *quick, *kept)
    slower = from_plain(Comparison, shown)
    assert (slower.a, slower.b) == ("small/onnxruntime-fp32", "large/onnxruntime-fp32")
    assert (slower.verdict, slower.launches, slower.rounds, slower.seed) == ("slower", 6, 3, 3)
    assert slower.ratio.low > 1.5
    assert slower.sentence.startswith("large/onnxruntime-fp32 is slower than small/")
    lines = read_results(folder / "launches.jsonl")
    assert len(lines) == 2 * 6
    assert len({one.run for one in lines}) == 6
    assert lines[0].at_s < lines[-1].at_s
    assert lines[0].cpus == (int(cpu),)


def test_compare_takes_two_variants_of_one_bundle(folder: Path) -> None:
    quick = ["--launches", "1", "--rounds", "2", "--iterations", "4", "--no-strict"]
    variants = ["--variant", "onnxruntime-fp32", "--variant", "twin"]
    done = call(folder, "compare", "large", *variants, *quick)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Nothing can be said of large/twin: 1 of the 6 launches that are needed." in done.stdout


def test_compare_exits_3_and_prints_when_it_cannot_tell(folder: Path) -> None:
    quick = ["--launches", "2", "--rounds", "2", "--iterations", "4"]
    done = call(folder, "compare", "small", "[same]", "small", *quick, "--format", "json")
    assert done.returncode == 3
    first, second = json.loads(done.stdout)
    assert (first["verdict"], first["compared"]) == ("INVALID", 2)
    assert (first["a"], first["b"]) == ("small/onnxruntime-fp32 (#1)", "[same]/onnxruntime-fp32")
    assert second["b"] == "small/onnxruntime-fp32 (#3)"
    assert "2 of the 7 launches that are needed" in done.stderr.splitlines()[0]


def test_compare_asks_as_bench_does(folder: Path) -> None:
    few = ("--launches", "1", "--rounds", "2", "--threads", "1", "--no-strict")
    (rows,) = data(folder, "compare", "large", "large", "--scenario", "offline", *few)
    assert (rows["statistic"], rows["rounds"]) == ("mean", 2)
    (tail,) = data(folder, "compare", "large", "large", "--percentile", "90", *few)
    assert tail["statistic"] == "p90"
    unheld = ("--scenario", "server", "--rate", "1e6", "--duration", "0.05")
    (lost,) = data(folder, "compare", "large", "small", *unheld, *few)
    assert lost["reasons"][0].startswith("1e+06 queries a second were not held")
    short = ("--percentile", "99", "--iterations", "20")
    done = call(folder, "compare", "large", "large", *short, *few)
    assert (done.returncode, done.stdout) == (3, "")
    assert "p99 cannot be compared: p99 needs 662 inferences" in done.stderr.splitlines()[0]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["bench", "nowhere"], 2, "nowhere"),
        (
            ["bench", "foreign"],
            2,
            "foreign/onnxruntime-fp32 is for another processor: this one has",
        ),
        (["compare", "small", "foreign"], 2, "for another processor: this one has no sve9"),
        (["bench", "unknown"], 4, "nobody"),
        (["bench", "small", "--variant", "other"], 2, "there is no variant 'other'"),
        (["bench", "small", "--threads", "0"], 2, "--threads is 0, at least 1 is needed"),
        (["bench", "small", "--rounds", "0"], 2, "--rounds is 0"),
        (["bench", "small", "--iterations", "-1"], 2, "--iterations is -1"),
        (["bench", "small", "--percentile", "100"], 2, "--percentile has '100'"),
        (["bench", "small", "--percentile", "90,p99"], 2, "--percentile has 'p99'"),
        (["bench", "small", "--duration", "0"], 2, "--duration is 0, more than 0"),
        (["bench", "small", "--energy", "0"], 2, "--energy is 0"),
        (["bench", "small", "--scenario", "server"], 2, "--scenario server needs --rate"),
        (["bench", "small", "--scenario", "server", "--rate=-1"], 2, "--rate is -1"),
        (["bench", "small", "--period", "5"], 2, "--period is not of --scenario single-stream"),
        (["bench", "small", "--cpus", "4096"], 2, "--cpus is '4096', this process may use"),
        (["bench", "small", "--warmup", "soon"], 2, "--warmup is 'soon'"),
        (["bench", "small", "--warmup=-1"], 2, "--warmup is '-1'"),
        (["bench", "small", "--warmup", "nan"], 2, "--warmup is 'nan'"),
        (["bench", "small", "--input", "nothing.npz"], 2, "nothing.npz"),
        (["bench", "small", "--python", "nothing"], 2, "nothing cannot be run"),
        (["compare", "small"], 2, "one bundle has one side"),
        (
            ["compare", "small", "large", "small", "--variant", "twin", "--variant", "twin"],
            2,
            "3 bundles and 2 variants do not pair",
        ),
        (["compare", "small", "small", "--same", "0"], 2, "--same is 0, a percentage"),
        (["compare", "small", "small", "--duration", "0"], 2, "--duration is 0, more than 0"),
        (["compare", "small", "small", "--percentile", "100"], 2, "--percentile has '100'"),
        (["compare", "small", "small", "--launches", "5000"], 2, "at most 1000 are compared"),
        (["compare", "small", "unknown"], 4, "nobody"),
        (["compare", "small", "small", "--launches", "0"], 2, "--launches is 0"),
    ],
)
def test_mistake_is_one_line_and_a_hint(
    arguments: list[str], code: int, said: str, folder: Path
) -> None:
    done = call(folder, *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr.splitlines()[0]
    assert len(done.stderr.splitlines()) <= 2
