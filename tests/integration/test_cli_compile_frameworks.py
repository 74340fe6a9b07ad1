# SPDX-License-Identifier: Apache-2.0
"""The verb `compile` with the files of frameworks that have environments of their own."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from insight_edge.bundle.open import open_bundle
from tests.fakes.frameworks import made_apart
from tests.fakes.programs import insight_edge

pytestmark = pytest.mark.slow

FP32 = ("--target", "onnxruntime:fp32", "--rounds", "5")


@pytest.mark.parametrize(
    ("token", "name", "given"),
    [
        ("xgboost", "m.ubj", "X"),
        ("xgboost", "m.json", "X"),
        ("lightgbm", "m.txt", "X"),
        ("tensorflow", "m.keras", "x"),
        ("tflite", "m.tflite", "x"),
    ],
)
def test_framework_file_becomes_a_bundle(
    token: str, name: str, given: str, tmp_path: Path, here: Path
) -> None:
    made_apart(token, tmp_path / name)
    with np.load(tmp_path / "rows.npz") as held:
        rows = np.repeat(held["rows"], 100, axis=0)[:300]
    np.savez(tmp_path / "fed.npz", **{given: rows})  # type: ignore[arg-type] # by input name
    rows_given = ("--calibration", "fed.npz", "--accept-unproven")
    asked = ("compile", "-m", name, "--profile", str(here), *FP32, *rows_given, "-o", "b")
    done = insight_edge(*asked, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    manifest = open_bundle(tmp_path / "b", allow_unsigned=True).manifest
    assert manifest.model.name == "m"
    assert [variant.target.token for variant in manifest.variants] == ["onnxruntime:fp32"]


@pytest.mark.parametrize(
    ("name", "environment"),
    [
        ("m.ubj", "toolchain-trees"),
        ("m.h5", "toolchain-tensorflow"),
        ("m.tflite", "toolchain-tensorflow"),
    ],
)
def test_missing_toolchain_exits_4_with_what_to_install(
    name: str, environment: str, tmp_path: Path, here: Path
) -> None:
    (tmp_path / name).write_bytes(b"    TFL3 or whatever")
    elsewhere = f"import sys; sys.prefix = {str(tmp_path)!r}\n"
    script = f"{elsewhere}from insight_edge.cli.main import main; sys.exit(main())"
    asked = ("compile", "-m", name, "--profile", str(here), "-o", "b")
    command = [sys.executable, "-c", script, *asked]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert done.stderr.splitlines() == [
        f"error: the environment '{environment}' is not installed",
        f"hint: insight-edge toolchain install {environment}",
    ]
