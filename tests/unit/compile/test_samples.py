# SPDX-License-Identifier: Apache-2.0
"""Samples files: read within limits, split without overlap, refused with one clear line."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from insight_edge.compile.rows import samples as room
from insight_edge.compile.rows.file import BLOCK_BYTES
from insight_edge.compile.rows.samples import read_samples
from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import (
    ConfigurationError,
    InputError,
    LimitExceededError,
    TensorMismatchError,
)

Save = Callable[..., None]
SPEC = TensorSpec(name="x", dtype="float32", shape=("batch", 3))


def write(path: Path, **arrays: object) -> Path:
    file = path / "samples.npz"
    np.savez(file, **arrays)  # type: ignore[arg-type]  # wrong arrays are what some tests write
    return file


@pytest.mark.parametrize("count", [1, 3, 4, 100, 2000])
def test_split_is_disjoint_and_keeps_most_rows_for_proof(tmp_path: Path, count: int) -> None:
    rows = np.arange(3 * count, dtype=np.float32).reshape(count, 3)
    labels = np.arange(count)
    found = read_samples(write(tmp_path, x=rows, labels=labels), [SPEC])
    proven, proof_labels = found.proof()
    calibrating = found.calibration()["x"]
    assert len(calibrating) == min(128, count // 4)
    assert len(proven["x"]) == count - min(4 * 128, count // 4)
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
        ({"x": np.zeros((0, 3), np.float32)}, ConfigurationError, "has no rows"),
        ({}, TensorMismatchError, "'x' is missing"),
        (
            {"x": np.zeros((2, 3), np.float32), "labels": np.array([0.0, np.nan])},
            ConfigurationError,
            "NaN",
        ),
        (
            {"x": np.zeros((2, 3), np.float32), "labels": np.zeros(3, int)},
            ConfigurationError,
            "(2, ...) of numbers",
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


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed], ids=["stored", "deflated"])
def test_memory_is_bounded_with_a_file_that_is_larger(tmp_path: Path, save: Save) -> None:
    count, kept_bytes = 4_000, 2**22
    random = np.random.default_rng(0)
    spec = TensorSpec(name="x", dtype="float32", shape=("batch", 4096))
    rows = random.integers(0, 100, (count, 4096)).astype(np.float32)
    rows[0, 0] = 1e6
    save(tmp_path / "large.npz", x=rows, labels=np.arange(count) % 7)
    assert rows.nbytes > 15 * kept_bytes
    file_bytes = rows.nbytes
    del rows
    tracemalloc.start()
    found = read_samples(tmp_path / "large.npz", [spec], kept_bytes=kept_bytes)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # The rows kept, a block that is read, and its rows in double precision.
    assert peak < kept_bytes + 6 * BLOCK_BYTES < 0.5 * file_bytes
    proven, calibrating = found.proof()[0]["x"], found.calibration()["x"]
    assert 0.9 * kept_bytes < proven.nbytes + calibrating.nbytes <= kept_bytes
    assert calibrating.max() == 1e6
    assert found.numbers is not None
    assert found.numbers[0] == 0


def test_rows_that_calibrate_hold_the_extremes_and_every_class(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(3000, 3)).astype(np.float32)
    mask = np.arange(3000) < 1000
    rows[2500, 1], rows[2999, 2] = 50, -70
    labels = np.zeros(3000, int)
    labels[1800] = 9
    found = read_samples(write(tmp_path, x=rows, labels=labels, verification=mask), [SPEC])
    calibrating = found.calibration()["x"]
    assert (len(calibrating), calibrating.max(), calibrating.min()) == (128, 50, -70)
    assert found.labels is not None
    assert 9 in found.labels[~found.verification]
    again = read_samples(tmp_path / "samples.npz", [SPEC])
    assert np.array_equal(again.calibration()["x"], calibrating)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_number_that_is_none_is_found_by_its_row(tmp_path: Path, odd: float) -> None:
    rows = np.zeros((2000, 3), np.float32)
    rows[1003, 2] = odd
    found = read_samples(write(tmp_path, x=rows), [SPEC])
    with pytest.raises(ConfigurationError, match="row 1003 of 'x' has NaN or infinity"):
        found.refuse_non_finite()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed], ids=["stored", "deflated"])
def test_truncated_file_is_refused(tmp_path: Path, save: Save, share: float) -> None:
    file = tmp_path / "samples.npz"
    save(file, x=np.random.default_rng(0).normal(size=(100, 3)).astype(np.float32))
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ConfigurationError, match=r"not an \.npz"):
        read_samples(file, [SPEC])


def test_flipped_byte_of_the_rows_is_seen(tmp_path: Path) -> None:
    file = write(tmp_path, x=np.zeros((1000, 3), np.float32))
    data = bytearray(file.read_bytes())
    data[6000] ^= 1
    file.write_bytes(data)
    with pytest.raises(ConfigurationError, match=r"not an \.npz: Bad CRC-32"):
        read_samples(file, [SPEC])


def test_blocks_without_a_row_that_calibrates_are_passed_over(tmp_path: Path) -> None:
    rows = np.arange(900 * 4096, dtype=np.float32).reshape(900, 4096)
    assert rows.nbytes > 2 * BLOCK_BYTES
    spec = TensorSpec(name="x", dtype="float32", shape=("batch", 4096))
    found = read_samples(write(tmp_path, x=rows, verification=np.arange(900) >= 200), [spec])
    assert len(found.calibration()["x"]) == 128
    assert len(found.proof()[0]["x"]) == 700


def test_inputs_may_have_the_names_of_arrays_about_rows(tmp_path: Path) -> None:
    specs = [
        TensorSpec(name=name, dtype="float32", shape=("batch", 3))
        for name in ("labels", "verification")
    ]
    rows = np.arange(24, dtype=np.float32).reshape(8, 3)
    found = read_samples(write(tmp_path, labels=rows, verification=rows), specs)
    assert found.labels is None
    assert len(found.proof()[0]["labels"]) == 6
