# SPDX-License-Identifier: Apache-2.0
"""Arrays in and out of files: whole, by name, or one clear line."""

from pathlib import Path

import numpy as np
import pytest

from insight_edge.cli.arrays import read_arrays, write_arrays
from insight_edge.errors import ConfigurationError, StorageError


def test_arrays_come_back_as_they_were_written(tmp_path: Path) -> None:
    arrays = {
        "x": np.arange(6, dtype=np.float32).reshape(2, 3),
        "words": np.array(["a", "bcd"]),
        "scalar": np.array(3),
    }
    write_arrays(tmp_path / "a.npz", arrays)
    found = read_arrays(tmp_path / "a.npz", ["words", "x"])
    assert list(found) == ["words", "x"]
    assert all(np.array_equal(found[name], arrays[name]) for name in found)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_writes_is_read(tmp_path: Path, save: object) -> None:
    assert callable(save)
    rows = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    save(tmp_path / "a.npz", x=rows)
    assert np.array_equal(read_arrays(tmp_path / "a.npz", ["x"])["x"], rows)


def test_name_that_is_missing_is_told_with_those_there_are(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", b=np.zeros(1), c=np.zeros(1))
    with pytest.raises(ConfigurationError, match="input 'x' is missing") as raised:
        read_arrays(tmp_path / "a.npz", ["b", "x"])
    assert raised.value.hint == "it holds b, c"


@pytest.mark.parametrize("data", [b"", b"text", b"\x93NUMPY\x01\x00", b"PK\x05\x06" + bytes(18)])
def test_file_without_the_arrays_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(ConfigurationError, match=r"a\.npz"):
        read_arrays(tmp_path / "a.npz", ["x"])


def test_pickles_are_not_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.array([{}], object))
    with pytest.raises(ConfigurationError, match="not numbers, booleans or text"):
        read_arrays(tmp_path / "a.npz", ["x"])


@pytest.mark.parametrize("name", ["nowhere.npz", "."])
def test_file_that_cannot_be_read_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="directory"):
        read_arrays(tmp_path / name, ["x"])


def test_place_that_cannot_be_written_is_a_storage_error_and_stays_empty(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be written"):
        write_arrays(tmp_path / "nowhere" / "a.npz", {"x": np.zeros(1)})
    assert list(tmp_path.iterdir()) == []
