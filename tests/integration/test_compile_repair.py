# SPDX-License-Identifier: Apache-2.0
"""INT8 that breaks is repaired and proven; INT8 that holds is not touched."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from insight_edge.compile.compiler import compile_model
from insight_edge.compile.profiles.reading import find_profile
from insight_edge.compile.settings import Settings
from insight_edge.documents.evidence import Trial
from insight_edge.documents.target import target_from_token
from tests.fakes.fragile import fragile_model, held_out

pytestmark = pytest.mark.slow

Compiled = Callable[..., dict[str, Trial]]


@pytest.fixture
def compiled(tmp_path: Path, here: Path, builds: Path) -> Compiled:
    """Return what compiles a network of some fragility for one engine, and gives its trials."""

    def compile_(engine: str, wide: float, **changes: float) -> dict[str, Trial]:
        onnx.save(fragile_model(wide), tmp_path / "net.onnx")
        images, classes = held_out()
        np.savez(tmp_path / "rows.npz", x=images, labels=classes)
        only = tuple(target_from_token(f"{engine}:{p}") for p in ("fp32", "int8"))
        settings = Settings(only=only, rounds=5, cache=builds, **changes)  # type: ignore[arg-type]
        done = compile_model(
            tmp_path / "net.onnx",
            find_profile(str(here)),
            tmp_path / "bundle",
            samples=tmp_path / "rows.npz",
            settings=settings,
        )
        return {trial.target.token: trial for trial in done.evidence.trials}

    return compile_


@pytest.mark.parametrize(
    "engine", ["onnxruntime", pytest.param("openvino", marks=pytest.mark.long)]
)
def test_broken_int8_is_repaired_within_the_budget(engine: str, compiled: Compiled) -> None:
    trials = compiled(engine, wide=400.0)
    plain, mixed = trials[f"{engine}:int8"], trials[f"{engine}:int8+mixed"]
    assert plain.proof is not None
    assert mixed.proof is not None
    assert plain.proof.verdict == "FAILED"
    assert mixed.proof.verdict == "PROVEN"
    assert mixed.proof.drop_pp <= 0.5
    assert mixed.proof.drop_upper_pp <= 1.0
    assert 0 < len(mixed.float_layers) <= 2
    assert "in floating point: " in mixed.reason
    assert mixed.reproduce.endswith(f"--target {engine}:int8")
    assert mixed.against_fp32 is not None


def test_layers_that_stay_are_those_that_hurt_and_say_why(compiled: Compiled) -> None:
    layers = compiled("onnxruntime", wide=400.0)["onnxruntime:int8+mixed"].float_layers
    told = {layer.name: layer.why for layer in layers}
    assert "mix" in told
    assert "x the median one" in told["mix"]
    assert all(layer.sqnr_db < 20 for layer in layers)


@pytest.mark.parametrize(
    "engine", ["onnxruntime", pytest.param("openvino", marks=pytest.mark.long)]
)
def test_sound_int8_is_not_touched(engine: str, compiled: Compiled) -> None:
    trials = compiled(engine, wide=1.0)
    assert set(trials) == {f"{engine}:fp32", f"{engine}:int8"}
    proof = trials[f"{engine}:int8"].proof
    assert proof is not None
    assert proof.verdict == "PROVEN"


def test_no_repair_is_begun_without_time_for_it(compiled: Compiled) -> None:
    assert "onnxruntime:int8+mixed" not in compiled("onnxruntime", wide=400.0, repair_s=0.0)
