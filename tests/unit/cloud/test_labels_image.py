# SPDX-License-Identifier: Apache-2.0
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from insight_cloud.labels.image import MAX_SIDE, MIN_SIDE, encode_png, is_picture, png_of
from insight_edge.errors import DocumentError


def decode_png(data: bytes) -> NDArray[np.uint8]:
    """Read an unfiltered PNG as the standard has it, checksums and all."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = {}, 8
    while at < len(data):
        length, name = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + length]
        (checksum,) = struct.unpack(">I", data[at + 8 + length : at + 12 + length])
        assert checksum == zlib.crc32(name + body)
        chunks[name] = body
        at += 12 + length
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    width, height, depth, colour, *rest = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert (depth, rest) == (8, [0, 0, 0])
    channels = {0: 1, 2: 3}[colour]
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, -1)
    assert not rows[:, 0].any()
    return rows[:, 1:].reshape(height, width, channels)


@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20), st.just(3))))
def test_coloured_pixels_come_back_as_they_were(pixels: NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(decode_png(encode_png(pixels)), pixels)
    np.testing.assert_array_equal(decode_png(encode_png(pixels[:, :, 0]))[:, :, 0], pixels[:, :, 0])


@pytest.mark.parametrize(
    "shape", [(1, 8, 8), (1, 8, 8, 1), (1, 1, 8, 8), (1, 3, 8, 8), (1, 8, 8, 3), (1, 200, 300)]
)
def test_a_picture_is_at_least_as_large_as_people_need(shape: tuple[int, ...]) -> None:
    image = np.arange(np.prod(shape)).reshape(shape)
    shown = decode_png(png_of(image))
    assert min(shown.shape[:2]) >= MIN_SIDE
    assert shown.shape[2] == (3 if 3 in shape else 1)
    assert (shown.min(), shown.max()) == (0, 255)


def test_pixels_are_enlarged_without_being_mixed() -> None:
    image = np.array([[[0, 4], [8, 16]]], np.uint8)
    shown = decode_png(png_of(image))[:, :, 0]
    assert shown.shape == (128, 128)
    assert shown[::64, ::64].tolist() == [[0, 64], [128, 255]]
    assert set(np.unique(shown)) == {0, 64, 128, 255}


def test_channels_first_and_last_are_the_same_picture() -> None:
    image = np.random.default_rng(0).random((1, 9, 7, 3))
    assert png_of(image) == png_of(image.transpose(0, 3, 1, 2))


NUMBERS = st.sampled_from(["u1", "i1", "i8", "u8", "f2", "f4", "f8", "?"])


@given(st.data(), NUMBERS)
def test_any_numbers_can_be_shown(data: st.DataObject, dtype: str) -> None:
    image = data.draw(arrays.arrays(np.dtype(dtype), (1, 3, 4)))
    assert decode_png(png_of(image)).shape == (129, 172, 1)


def test_what_is_no_number_is_shown_as_black() -> None:
    image = np.array([[[np.nan, np.inf], [-np.inf, 1.0]]])
    assert decode_png(png_of(image))[::64, ::64, 0].tolist() == [[0, 0], [0, 255]]
    assert not decode_png(png_of(np.zeros((1, 2, 2)))).any()


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((1, 64)),
        np.zeros((2, 8, 8)),
        np.zeros((1, 8, 8, 4)),
        np.zeros((1, 0, 8)),
        np.zeros((1, 1, MAX_SIDE + 1)),
        np.zeros((1, 2, 2, 2, 2)),
        np.zeros(()),
        np.array([[["a", "b"]]]),
    ],
)
def test_what_is_no_picture_is_refused(array: NDArray[Any]) -> None:
    assert not is_picture(array.shape, array.dtype.kind)
    with pytest.raises(DocumentError, match="no picture"):
        png_of(array)


def test_a_long_strip_is_not_enlarged_beyond_bounds() -> None:
    assert decode_png(png_of(np.ones((1, 1, MAX_SIDE)))).shape == (1, MAX_SIDE, 1)
