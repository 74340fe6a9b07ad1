# SPDX-License-Identifier: Apache-2.0
"""The commands that compile again say everything that matters and survive a shell."""

import shlex
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from insight_edge.compile.reproduce import Reproduce
from insight_edge.compile.settings import Settings
from insight_edge.documents.target import target_from_token

MODEL, SAMPLES, OUTPUT = Path("my model.onnx"), Path("rows;rm.npz"), Path("a b/$HOME")
INT8 = target_from_token("tflite:int8+dynamic")

BEGIN = ["insight-edge", "compile", "-m", "my model.onnx", "--profile", "my box.toml"]


def reproduce(samples: Path | None = None, **settings: Any) -> Reproduce:
    return Reproduce(
        model=MODEL,
        profile="my box.toml",
        output=OUTPUT,
        samples=samples,
        settings=Settings(**settings),
    )


def test_whole_says_what_was_asked() -> None:
    assert shlex.split(reproduce().whole()) == [*BEGIN, "-o", "a b/$HOME"]
    named = reproduce(SAMPLES, only=(INT8,)).whole()
    rows = ["--calibration", "rows;rm.npz"]
    target = ["--target", "tflite:int8+dynamic"]
    assert shlex.split(named) == [*BEGIN, *rows, *target, "-o", "a b/$HOME"]


def test_trial_is_done_alone_and_beside_the_bundle() -> None:
    command = shlex.split(reproduce(only=(INT8,)).trial(target_from_token("tvm:fp32")))
    assert command == [*BEGIN, "-o", "a b/$HOME.tvm-fp32", "--target", "tvm:fp32"]


SAID: dict[str, tuple[Any, list[str]]] = {
    "max_drop_pp": (0.25, ["--max-drop", "0.25"]),
    "accept_unproven": (True, ["--accept-unproven"]),
    "threads": (3, ["--threads", "3"]),
    "rounds": (5, ["--rounds", "5"]),
    "repair_s": (0.0, ["--repair", "0"]),
    "trust_pickle": (True, ["--trust-pickle"]),
    "transforms": (Path("steps.toml"), ["--transforms", "steps.toml"]),
    "fuse": (True, ["--fuse"]),
    "tuning_s": (20.0, ["--tuning", "20"]),
    "builder": (Path("shared"), ["--builder", "shared"]),
    "contenders": (True, ["--contenders"]),
}


@pytest.mark.parametrize("name", SAID)
def test_each_setting_that_changes_a_verdict_is_said(name: str) -> None:
    value, words = SAID[name]
    found = shlex.split(reproduce(**{name: value}).whole())
    assert found == [*BEGIN, *words, "-o", "a b/$HOME"]


def test_no_setting_is_forgotten() -> None:
    # How many builds run at once, within which limits, where they are kept and what is told of
    # them changes none; the targets are named another way.
    unsaid = {"only", "jobs", "limits", "cache", "keep", "explain"}
    assert {field.name for field in fields(Settings)} - unsaid == SAID.keys()


def test_tuned_code_is_looked_for_where_it_is_kept() -> None:
    found = reproduce(tuning_s=20.0, cache=Path("kept")).whole()
    assert "--tuning 20 --cache kept" in found
    assert "--cache" not in reproduce(cache=Path("kept")).whole()
