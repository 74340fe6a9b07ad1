# SPDX-License-Identifier: Apache-2.0
"""Rows read a block at a time are those of the file, whatever way it was written."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from insight_edge.compile.rows import file as room
from insight_edge.compile.rows.file import RowFile
from insight_edge.errors import DocumentError, LimitExceededError

DTYPES = st.sampled_from(["<f4", ">f4", "<f8", "|u1", "<i8", "|b1", ">i2"])
ARRAYS = hnp.arrays(
    DTYPES, hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=6)
).filter(lambda array: array.size == 0 or bool(np.isfinite(array.astype(float)).all()))


def packed(compressed: bool, **arrays: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(stream, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


def opened(data: bytes, folder: Path, **limits: int) -> RowFile:
    (folder / "rows.npz").write_bytes(data)
    return RowFile(folder / "rows.npz", **({"max_bytes": 10**6, "max_arrays": 3} | limits))


@given(ARRAYS, st.booleans(), st.booleans(), st.integers(1, 4), st.data())
def test_blocks_and_taken_rows_are_those_written(
    tmp_path_factory: pytest.TempPathFactory,
    array: NDArray[Any],
    compressed: bool,
    columnwise: bool,
    step: int,
    data: st.DataObject,
) -> None:
    stored = np.asfortranarray(array) if columnwise else array
    file = opened(packed(compressed, x=stored), tmp_path_factory.mktemp("rows"))
    column = file.columns["x"]
    assert (column.shape, column.rows) == (array.shape, len(array))
    assert column.dtype == array.dtype.newbyteorder("=")
    blocks = list(file.blocks("x", step))
    assert all(len(block) == step for block in blocks[:-1])
    assert np.array_equal(np.concatenate([array[:0], *blocks]), array)
    wanted = np.flatnonzero(data.draw(hnp.arrays(np.bool_, len(array))))
    assert np.array_equal(file.take("x", wanted), array[wanted])


def test_large_array_stored_by_columns_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MAX_COLUMNWISE_BYTES", 100)
    file = opened(packed(compressed=False, x=np.asfortranarray(np.zeros((10, 10)))), tmp_path)
    with pytest.raises(DocumentError, match="ascontiguousarray"):
        list(file.blocks("x"))


def test_limits_hold_before_anything_is_read(tmp_path: Path) -> None:
    data = packed(compressed=True, x=np.zeros(1000), y=np.zeros(1))
    with pytest.raises(LimitExceededError, match="unpacks to"):
        opened(data, tmp_path, max_bytes=5000)
    with pytest.raises(LimitExceededError, match="2 arrays"):
        opened(data, tmp_path, max_arrays=1)


def test_header_that_claims_another_size_is_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.zeros(3))
    lying = stream.getvalue().replace(b"(3,)", b"(9,)")
    with zipfile.ZipFile(tmp_path / "z.npz", "w") as archive:
        archive.writestr("x.npy", lying)
    with pytest.raises(DocumentError, match=r"24 bytes do not make \[9\]"):
        RowFile(tmp_path / "z.npz", max_bytes=10**6, max_arrays=1)


def test_two_arrays_of_one_name_are_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.zeros(3))
    with zipfile.ZipFile(tmp_path / "z.npz", "w") as archive:
        archive.writestr("x.npy", stream.getvalue())
        archive.writestr("x", stream.getvalue())
    with pytest.raises(DocumentError, match="two arrays"):
        RowFile(tmp_path / "z.npz", max_bytes=10**6, max_arrays=3)
