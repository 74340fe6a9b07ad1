# SPDX-License-Identifier: Apache-2.0
"""Arrays come back as they were; nothing else comes back at all."""

import io
import tracemalloc
import zipfile
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from insight_edge.bundle.golden import golden_bytes, golden_from_bytes
from insight_edge.bundle.limits import Limits
from insight_edge.bundle.npz import arrays_from_npz, npz_from_arrays
from insight_edge.errors import DocumentError, LimitExceededError, TensorMismatchError
from tests.fakes.bundles import bundle_files, bundle_manifest, golden_inputs, golden_outputs

DTYPES = st.sampled_from(["bool", "int8", "uint8", "int64", "float16", "float32", "float64", "U3"])
ARRAYS = st.dictionaries(
    st.text("abc/:.", min_size=1, max_size=6),
    hnp.arrays(DTYPES, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)),
    max_size=4,
)


def read(data: bytes) -> dict[str, NDArray[Any]]:
    return arrays_from_npz(data, max_bytes=100_000, max_arrays=8)


@given(ARRAYS)
def test_arrays_come_back_as_they_were(arrays: dict[str, NDArray[Any]]) -> None:
    packed = npz_from_arrays(arrays)
    found = read(packed)
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
    assert npz_from_arrays(found) == packed


@pytest.mark.parametrize("compressed", [False, True])
def test_what_numpy_saves_is_read(compressed: bool) -> None:
    stream = io.BytesIO()
    matrix = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    save = np.savez_compressed if compressed else np.savez
    save(stream, matrix=matrix, foreign=matrix.astype(">f4"))
    found = read(stream.getvalue())
    np.testing.assert_array_equal(found["matrix"], matrix)
    np.testing.assert_array_equal(found["foreign"], matrix)
    assert found["foreign"].dtype == np.dtype("=f4")


def test_what_is_written_is_read_by_numpy() -> None:
    with np.load(io.BytesIO(npz_from_arrays(golden_inputs()))) as found:
        np.testing.assert_array_equal(found["x"], golden_inputs()["x"])


def test_objects_are_not_written() -> None:
    with pytest.raises(DocumentError, match="'x': arrays of object"):
        npz_from_arrays({"x": np.array([{}])})


def archive(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in members.items():
            packed.writestr(name, data)
    return stream.getvalue()


def npy(array: NDArray[Any], *, allow_pickle: bool = False) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, allow_pickle=allow_pickle)
    return stream.getvalue()


def test_pickle_is_never_loaded() -> None:
    with pytest.raises(DocumentError, match="not numbers, booleans or text"):
        read(archive(x=npy(np.array([print]), allow_pickle=True)))


def test_bomb_is_refused_by_what_its_directory_says() -> None:
    with pytest.raises(LimitExceededError, match="unpacks to 10000000 bytes"):
        read(archive(x=bytes(10_000_000)))


def test_bomb_that_lies_about_its_length_unpacks_no_further() -> None:
    data = archive(x=npy(np.zeros(1_000_000)))
    length = len(npy(np.zeros(1_000_000))).to_bytes(4, "little")
    assert data.count(length) == 2
    lying = data.replace(length, (136).to_bytes(4, "little"))
    tracemalloc.start()
    try:
        with pytest.raises(DocumentError, match=r"not an \.npz: Bad CRC-32"):
            read(lying)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_more_arrays_than_the_limit_are_refused() -> None:
    with pytest.raises(LimitExceededError, match="9 arrays"):
        read(npz_from_arrays({str(index): np.zeros(1) for index in range(9)}))


def test_two_arrays_of_one_name_are_refused() -> None:
    with pytest.raises(DocumentError, match="two arrays"):
        read(archive(**{"x": npy(np.zeros(1)), "x.npy": npy(np.zeros(1))}))


@pytest.mark.parametrize(
    "member",
    [
        b"",
        b"\x93NUMPY",
        b"\x93NUMPY\x09\x00",
        npy(np.zeros(4))[:-1],
        npy(np.zeros(4)) + b"\0",
        npy(np.zeros(4)).replace(b"(4,)", b"(-4,)"),
        npy(np.zeros(4)).replace(b"(4,), ", b"(2**99,"),
        npy(np.zeros(4)).replace(b"'<f8'", b"'|O8'"),
        npy(np.zeros(4)).replace(b"'<f8'", b"'<M8'"),
        npy(np.zeros(4)).replace(b"'<f8'", b"'<f3'"),
        npy(np.zeros(0)).replace(b"(0,), }" + b" " * 16, b"(0, 99999999999999999),"),
        npy(np.zeros(4)).replace(b"v\0{", b"\xff\xff{"),
    ],
)
def test_malformed_member_is_refused(member: bytes) -> None:
    with pytest.raises(DocumentError, match="'x'"):
        read(archive(x=member))


@given(st.data())
def test_damaged_archive_is_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    packed = bytearray(archive(x=npy(np.arange(9.0)), y=npy(np.zeros((2, 3), np.uint8))))
    for at in data.draw(st.lists(st.integers(0, len(packed) - 1), min_size=1, max_size=3)):
        packed[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(packed)) | st.just(len(packed)))
    try:
        read(bytes(packed[:cut]))
    except DocumentError:
        return


@pytest.mark.parametrize(
    ("inputs", "outputs", "reason"),
    [
        ({}, golden_outputs(), "found .., the manifest names .'x'."),
        (golden_inputs() | {"z": np.zeros(2)}, golden_outputs(), "found .'x', 'z'."),
        (golden_inputs(), {"y": np.zeros((2, 2))}, "float64"),
        (golden_inputs(), {"y": np.zeros((2, 3), np.float32)}, r"\[2, 3\]"),
        (golden_inputs(), {"y": np.zeros((3, 2), np.float32)}, "2 rows"),
        ({"x": np.zeros(2, np.float32)}, golden_outputs(), r"float32\[2\]"),
    ],
)
def test_golden_samples_that_are_not_the_manifests_are_refused(
    inputs: dict[str, NDArray[Any]], outputs: dict[str, NDArray[Any]], reason: str
) -> None:
    manifest = bundle_manifest(bundle_files())
    with pytest.raises(TensorMismatchError, match=reason):
        golden_from_bytes(golden_bytes(inputs, outputs), manifest, Limits())


def test_golden_samples_with_an_array_too_many_are_refused() -> None:
    named = npz_from_arrays(
        {"input.x": golden_inputs()["x"], "output.y": golden_outputs()["y"], "z": np.zeros(1)}
    )
    with pytest.raises(DocumentError, match="neither an input nor an output"):
        golden_from_bytes(named, bundle_manifest(bundle_files()), Limits())
