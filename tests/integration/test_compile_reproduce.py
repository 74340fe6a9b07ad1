# SPDX-License-Identifier: Apache-2.0
"""The command of every trial, copied into a shell, gives the same artifact or the same verdict."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from insight_edge.bundle.open import open_bundle
from insight_edge.compile.building.cache import CacheEntry
from insight_edge.compile.toolchains.environments import environment_python
from insight_edge.documents.codec import decode_json, from_plain
from insight_edge.documents.evidence import Trial
from insight_edge.errors import DocumentError, MissingError
from tests.fakes.fragile import fragile_model, held_out
from tests.fakes.onnx_models import model_of, value, weights_of
from tests.fakes.programs import Finished, insight_edge

TIMEOUT_S = 900

pytestmark = pytest.mark.slow

Digests = dict[str, str]
"""Digests of artifacts' files by name."""


@pytest.fixture
def place(tmp_path: Path, here: Path) -> Path:
    """Return a directory with a profile in a file of another name than its id."""
    (tmp_path / "my box.toml").write_text(here.read_text())
    return tmp_path


def compiled(place: Path, *flags: str) -> dict[str, Trial]:
    done = insight_edge(
        "compile", "-m", "m.onnx", "--profile", "my box.toml", "--calibration", "rows.npz",
        "--rounds", "5", *flags, "--format", "json", "-o", "b", cwd=place,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = [from_plain(Trial, trial) for trial in json.loads(done.stdout)]
    return {trial.target.token: trial for trial in found}


def copied(trial: Trial, place: Path) -> Finished:
    """Run a trial's command as it stands, from where the first was run."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["/bin/sh", "-c", trial.reproduce],
        cwd=place,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )


def kept(place: Path) -> set[tuple[str, str]]:
    """Return the files of all artifacts that the cache of the first compilation holds."""
    found = set()
    for entry in place.glob("cache/*/build.json"):
        try:
            files = decode_json(CacheEntry, entry.read_bytes()).files
        except DocumentError as error:
            raise AssertionError(f"{entry} is no entry: {error}") from error
        found |= {(file.path, file.sha256) for file in files}
    return found


def shipped(command: str, place: Path) -> tuple[Digests, dict[str, Any]]:
    """Return the files and trials of the bundle that a command has written."""
    words = shlex.split(command)
    bundle = open_bundle(place / words[words.index("-o") + 1], allow_unsigned=True)
    files = {f.path: f.sha256 for variant in bundle.manifest.variants for f in variant.files}
    return files, {trial.target.token: trial for trial in bundle.evidence().trials}


@pytest.mark.long
def test_fp32_int8_and_repair_come_out_the_same(place: Path) -> None:
    onnx.save(fragile_model(400.0), place / "m.onnx")
    images, classes = held_out()
    np.savez(place / "rows.npz", x=images, labels=classes)
    targets = ("--target", "onnxruntime:fp32", "--target", "onnxruntime:int8")
    trials = compiled(place, *targets, "--repair", "900", "--cache", "cache")
    before = open_bundle(place / "b", allow_unsigned=True).digest
    first = kept(place)
    assert set(trials) == {"onnxruntime:fp32", "onnxruntime:int8", "onnxruntime:int8+mixed"}
    for token in ("onnxruntime:fp32", "onnxruntime:int8+mixed"):
        trial = trials[token]
        done = copied(trial, place)
        assert done.returncode == 0, (trial.reproduce, done.stderr)
        files, again = shipped(trial.reproduce, place)
        assert files.items() <= first
        assert files
        assert again[token].float_layers == trial.float_layers
        # The plain INT8 lost what it lost before.
        for same in again.values():
            assert same.proof is not None
            known = trials[same.target.token].proof
            assert known is not None
            assert (same.proof.verdict, same.proof.drop_pp) == (known.verdict, known.drop_pp)
    assert trials["onnxruntime:int8"].reproduce == trials["onnxruntime:int8+mixed"].reproduce
    # What was shipped is still there: commands of trials write beside it.
    assert open_bundle(place / "b", allow_unsigned=True).digest == before


def dense(place: Path) -> None:
    """Write a model of one matrix product, and rows for it."""
    product = model_of(
        [onnx.helper.make_node("MatMul", ["x", "w"], ["logits"])],
        [value("x", ("batch", 64))],
        [value("logits", ("batch", 10))],
        weights_of(0, w=(64, 10)),
    )
    onnx.save(product, place / "m.onnx")
    rows = np.random.default_rng(0).normal(size=(400, 64)).astype(np.float32)
    np.savez(place / "rows.npz", x=rows)


def test_options_in_the_name_and_refusals_come_out_the_same(place: Path) -> None:
    dense(place)
    named = ("onnxruntime:fp32", "openvino:int8+weights", "tensorrt:fp32")
    flags = [word for token in named for word in ("--target", token)]
    trials = compiled(place, *flags, "--max-drop", "50", "--cache", "cache")
    first = kept(place)
    weights = trials["openvino:int8+weights"]
    done = copied(weights, place)
    assert done.returncode == 0, (weights.reproduce, done.stderr)
    files, _ = shipped(weights.reproduce, place)
    assert files
    assert files.items() <= first
    refused = trials["tensorrt:fp32"]
    again = copied(refused, place)
    assert again.returncode == {True: 4, False: 1}["toolchain missing" in refused.reason]
    assert refused.reason in again.stderr


@pytest.mark.long
def test_target_that_is_held_back_is_held_back_again(place: Path) -> None:
    dense(place)
    trials = compiled(place, "--max-drop", "50")
    held = trials["openvino:fp16"]
    assert held.status == "refused"
    assert "try it with --target" in held.reason
    done = copied(held, place)
    assert done.returncode == 0, done.stderr
    assert held.reason in shipped(held.reproduce, place)[1]["openvino:fp16"].reason


@pytest.mark.long
def test_tuned_code_comes_out_the_same_from_the_same_cache(place: Path) -> None:
    for environment in ("device-tvm", "toolchain-tvm"):
        try:
            environment_python(environment)
        except MissingError as error:
            pytest.skip(f"{error} ({error.hint})")
    dense(place)
    profile = place / "my box.toml"
    profile.write_text(profile.read_text() + '\n[engines.tvm]\nprecisions = ["fp32"]\n')
    flags = ("--target", "tvm:fp32", "--tuning", "20", "--cache", "cache")
    trial = compiled(place, *flags)["tvm:fp32"]
    assert trial.chosen
    first = kept(place)
    done = copied(trial, place)
    assert done.returncode == 0, (trial.reproduce, done.stderr)
    files, again = shipped(trial.reproduce, place)
    assert files.items() <= first
    assert "tvm-fp32.so" in files
    assert again["tvm:fp32"].chosen
