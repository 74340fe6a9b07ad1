# SPDX-License-Identifier: Apache-2.0
"""A bundle of contenders is timed elsewhere and becomes the one that is shipped."""

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from insight_edge.bench.results import read_results
from insight_edge.bundle.open import open_bundle
from insight_edge.runtime.infer import Runtime
from tests.fakes.onnx_models import conv_model
from tests.fakes.programs import Finished, insight_edge, remarks

pytestmark = pytest.mark.slow

FP32, INT8 = "onnxruntime-fp32", "onnxruntime-int8"
TARGETS = ("--target", "onnxruntime:fp32", "--target", "onnxruntime:int8")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, here: Path) -> Path:
    """Return a directory with a bundle of contenders, and results of it on this machine."""
    place = tmp_path_factory.mktemp("contenders")
    onnx.save(conv_model(), place / "m.onnx")
    rows = np.random.default_rng(0).normal(size=(700, 3, 16, 16)).astype(np.float32)
    np.savez(place / "rows.npz", x=rows)
    (place / "here.toml").write_text(here.read_text())
    done = insight_edge(
        "compile", "-m", "m.onnx", "--profile", "here.toml", "--calibration", "rows.npz",
        *TARGETS, "--rounds", "5", "--accept-unproven", "--contenders", "-o", "all.b", cwd=place,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    done = insight_edge(
        "bench", "all.b", "--variant", FP32, "--variant", INT8, "--no-strict", "--rounds", "6",
        "--threads", "1", "-o", "results.jsonl", "--device", "desk", cwd=place,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return place


def settled(place: Path, *arguments: str) -> Finished:
    words = ("-m", "all.b", "--profile", "here.toml", "--accept-unproven")
    return insight_edge("compile", *words, *arguments, cwd=place)


def faster(place: Path, name: str, by: float) -> str:
    """Write the results as a device would have left them on which a variant is faster."""
    lines = []
    for line in (place / "results.jsonl").read_text().splitlines():
        one: dict[str, Any] = json.loads(line)
        if one["variant"] == name:
            one["rounds_p50_ms"] = [each / by for each in one["rounds_p50_ms"]]
            p50 = one["measurement"]["p50_ms"]
            p50 |= {key: p50[key] / by for key in ("value", "low", "high")}
        lines.append(json.dumps(one) + "\n")
    (place / f"{name}.jsonl").write_text("".join(lines))
    return f"{name}.jsonl"


def test_every_proven_variant_goes_along(place: Path) -> None:
    opened = open_bundle(place / "all.b", allow_unsigned=True)
    assert {one.name for one in opened.manifest.variants} == {FP32, INT8}


@pytest.mark.parametrize("wins", [FP32, INT8])
def test_the_variant_that_a_device_found_fastest_is_shipped(place: Path, wins: str) -> None:
    done = settled(place, "--measured", faster(place, wins, 50.0), "-o", f"{wins}.b")
    assert done.returncode == 0, done.stderr
    opened = open_bundle(place / f"{wins}.b", allow_unsigned=True)
    assert opened.variant().name == wins
    assert {one.role for one in opened.manifest.variants} <= {"winner", "fallback"}
    assert opened.golden().answers.keys() == {one.name for one in opened.manifest.variants}
    evidence, (first, *_) = opened.evidence(), read_results(place / "results.jsonl")
    assert (evidence.measured_by, evidence.measured_on) == ("desk", first.host)
    with Runtime.open(place / f"{wins}.b", allow_unsigned=True) as runtime:
        assert runtime.infer({"x": np.zeros((1, 3, 16, 16), np.float32)}).outputs


def test_the_command_in_the_bundle_settles_it_again(place: Path) -> None:
    assert settled(place, "--measured", "results.jsonl", "-o", "first.b").returncode == 0
    manifest = open_bundle(place / "first.b", allow_unsigned=True).manifest
    built, _, again = manifest.provenance.reproduce.partition(" && ")
    assert "--contenders" in built
    done = insight_edge(*shlex.split(again)[1:-1], "second.b", cwd=place)
    assert done.returncode == 0, done.stderr
    other = open_bundle(place / "second.b", allow_unsigned=True).manifest
    assert other.variants == manifest.variants


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("--calibration", "rows.npz"),
            "error: nothing is built with --measured, so --calibration",
        ),
        (("--measured", "none.jsonl"), "error: none.jsonl: cannot be read"),
        (("--profile", "rpi5-8gb"), "error: all.b: the bundle is for here, not rpi5-8gb"),
        (("-m", "m.onnx"), "error: m.onnx: "),
    ],
)
def test_what_cannot_be_meant_is_said_in_a_line(
    place: Path, arguments: tuple[str, str], said: str
) -> None:
    words = {"-m": "all.b", "--profile": "here.toml", "--measured": "results.jsonl"}
    words |= {arguments[0]: arguments[1]}
    flat = [word for pair in words.items() for word in pair]
    done = insight_edge("compile", *flat, "-o", "odd.b", cwd=place)
    assert done.returncode == 2
    assert remarks(done.stderr)[0].startswith(said)
    assert not (place / "odd.b").exists()
