# SPDX-License-Identifier: Apache-2.0
"""A calibration file that is wrong ends in one line and exit 2, and nothing is written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests.fakes.onnx_models import conv_model
from tests.fakes.programs import insight_edge

pytestmark = pytest.mark.slow

ROWS = np.random.default_rng(0).normal(size=(60, 3, 16, 16)).astype(np.float32)


def saved(**arrays: Any) -> Callable[[Path], None]:
    return lambda path: np.savez(path, **arrays)


def with_odd(value: float, row: int) -> Callable[[Path], None]:
    rows = ROWS.copy()
    rows[row, 1, 2, 3] = value
    return saved(x=rows)


def truncated(path: Path) -> None:
    np.savez(path, x=ROWS)
    path.write_bytes(path.read_bytes()[:-1000])


def flipped(path: Path) -> None:
    np.savez(path, x=ROWS)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)


WRONG: dict[str, tuple[Callable[[Path], None], str]] = {
    "name": (saved(image=ROWS), "array 'image' belongs to no input"),
    "no-array": (saved(), "input 'x' is missing"),
    "nan": (with_odd(np.nan, 7), "row 7 of 'x' has NaN or infinity"),
    "inf-to-prove-on": (with_odd(np.inf, 30), "row 30 of 'x' has NaN or infinity"),
    "shape": (saved(x=ROWS[:, :, :8]), "is 60x3x8x16 float32, expected nx3x16x16"),
    "layout": (saved(x=ROWS.transpose(0, 2, 3, 1)), "is 60x16x16x3 float32"),
    "dtype": (saved(x=ROWS.astype(np.float64)), "float64, expected"),
    "objects": (saved(x=np.array([{}, {}], object)), "not numbers, booleans or text"),
    "labels": (saved(x=ROWS, labels=np.zeros(3, np.int64)), "'labels' is (3,) int64"),
    "truncated": (truncated, "not an .npz"),
    "flipped": (flipped, "not an .npz: Bad CRC-32"),
    "no-file": (lambda _: None, "no such file"),
}


@pytest.mark.parametrize(("write", "said"), WRONG.values(), ids=WRONG.keys())
def test_wrong_calibration_is_a_mistake(
    tmp_path: Path, here: Path, write: Callable[[Path], None], said: str
) -> None:
    onnx.save(conv_model(), tmp_path / "m.onnx")
    write(tmp_path / "rows.npz")
    before = sorted(tmp_path.iterdir())
    done = insight_edge(
        "compile", "-m", "m.onnx", "--profile", str(here), "--calibration", "rows.npz",
        "--target", "onnxruntime:int8", "-o", "b", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    error, *hints = done.stderr.splitlines()
    assert error.startswith("error: ")
    assert said in error
    assert len(hints) <= 1
    assert done.stdout == ""
    assert sorted(tmp_path.iterdir()) == before


def test_file_without_rows_calibrates_nothing(tmp_path: Path, here: Path) -> None:
    onnx.save(conv_model(), tmp_path / "m.onnx")
    np.savez(tmp_path / "rows.npz", x=ROWS[:0])
    done = insight_edge(
        "compile", "-m", "m.onnx", "--profile", str(here), "--calibration", "rows.npz",
        "-o", "b", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "has no rows" in done.stderr
    assert not (tmp_path / "b").exists()
