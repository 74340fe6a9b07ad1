# SPDX-License-Identifier: Apache-2.0
"""Samples files: read within limits, split without overlap, refused with one clear line."""

from pathlib import Path

import numpy as np
import pytest

from insight_edge.compile import samples as room
from insight_edge.compile.samples import read_samples
from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import (
    ConfigurationError,
    InputError,
    LimitExceededError,
    TensorMismatchError,
)

SPEC = TensorSpec(name="x", dtype="float32", shape=("batch", 3))


def write(path: Path, **arrays: object) -> Path:
    file = path / "samples.npz"
    np.savez(file, **arrays)  # type: ignore[arg-type]  # wrong arrays are what some tests write
    return file


@pytest.mark.parametrize("count", [0, 1, 3, 4, 100, 2000])
def test_split_is_disjoint_and_keeps_most_rows_for_proof(tmp_path: Path, count: int) -> None:
    rows = np.arange(3 * count, dtype=np.float32).reshape(count, 3)
    labels = np.arange(count)
    found = read_samples(write(tmp_path, x=rows, labels=labels), [SPEC])
    proven, proof_labels = found.proof()
    calibrating = found.calibration()["x"]
    assert len(calibrating) == min(128, count // 4)
    assert len(calibrating) + len(proven["x"]) == count
    assert not set(calibrating[:, 0]) & set(proven["x"][:, 0])
    assert proof_labels is not None
    assert np.array_equal(proven["x"][:, 0], 3 * proof_labels)


def test_file_may_say_which_rows_are_proven_on(tmp_path: Path) -> None:
    rows = np.zeros((4, 3), np.float32)
    mask = np.array([True, False, True, True])
    found = read_samples(write(tmp_path, x=rows, verification=mask), [SPEC])
    assert len(found.calibration()["x"]) == 1
    assert found.labels is None


@pytest.mark.parametrize(
    ("arrays", "kind", "said"),
    [
        ({"y": np.zeros((2, 3), np.float32)}, ConfigurationError, "'y' belongs to no input"),
        ({"x": np.zeros((2, 4), np.float32)}, TensorMismatchError, "2x4 float32, expected nx3"),
        ({"x": np.zeros((2, 3))}, TensorMismatchError, "float64"),
        ({"x": np.zeros(3, np.float32)}, TensorMismatchError, "expected nx3"),
        ({}, TensorMismatchError, "'x' is missing"),
        (
            {"x": np.zeros((2, 3), np.float32), "labels": np.zeros(2)},
            ConfigurationError,
            "integers",
        ),
        (
            {"x": np.zeros((2, 3), np.float32), "labels": np.zeros(3, int)},
            ConfigurationError,
            "(2,) of integers",
        ),
        (
            {"x": np.zeros((2, 3), np.float32), "verification": np.ones(2)},
            ConfigurationError,
            "booleans",
        ),
        ({"x": np.array([{}], object)}, ConfigurationError, "not numbers, booleans or text"),
    ],
)
def test_wrong_arrays_are_refused_by_name(
    tmp_path: Path, arrays: dict[str, object], kind: type[InputError], said: str
) -> None:
    with pytest.raises(kind) as raised:
        read_samples(write(tmp_path, **arrays), [SPEC])
    assert said in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04" + b"\0" * 40])
def test_file_that_is_no_npz_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "samples.npz"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"not an \.npz"):
        read_samples(file, [SPEC])


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nowhere"):
        read_samples(tmp_path / "nowhere.npz", [SPEC])


def test_bomb_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MAX_SAMPLES_BYTES", 1000)
    file = tmp_path / "bomb.npz"
    np.savez_compressed(file, x=np.zeros((1000, 3), np.float32))
    assert file.stat().st_size < 1000
    with pytest.raises(LimitExceededError, match="unpacks to"):
        read_samples(file, [SPEC])
