# SPDX-License-Identifier: Apache-2.0
"""Sound against the standard library's writer, and what hostile files meet."""

import contextlib
import io
import struct
import wave
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from insight_edge.documents.steps import Scale, Sound
from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import ConfigurationError, DocumentError
from insight_edge.transforms.executor import infer_specs, run
from insight_edge.transforms.files import rows_from_files
from insight_edge.transforms.wav import samples_from_file

STEP = Sound(source="file", result="x", rate=16_000, samples=50)


def wav_of(frames: bytes, *, channels: int = 1, width: int = 2, rate: int = 16_000) -> bytes:
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(frames)
    return stream.getvalue()


def shifted(values: list[int], width: int) -> bytes:
    """Return whole numbers as WAV writes them: 8 bits have no sign."""
    numbers = [value + 128 for value in values] if width == 1 else values
    return b"".join(n.to_bytes(width, "little", signed=width > 1) for n in numbers)


def read(*files: bytes) -> NDArray[Any]:
    return run([STEP], {"file": rows_from_files(files)})["x"]


@given(st.integers(1, 4), st.integers(1, 3), st.data())
def test_pcm_is_a_share_of_full_scale_and_channels_are_averaged(
    width: int, channels: int, data: Any
) -> None:
    full = 2 ** (8 * width - 1)
    values = data.draw(st.lists(st.integers(-full, full - 1), min_size=1, max_size=40))
    values += [0] * (-len(values) % channels)
    file = wav_of(shifted(values, width), channels=channels, width=width)
    expected = (np.array(values) / full).reshape(-1, channels).mean(axis=1)
    found = read(file)[0]
    np.testing.assert_allclose(found[: len(expected)], expected, rtol=0, atol=3e-7)
    assert not found[len(expected) :].any()


def test_floats_are_taken_as_they_are_and_other_chunks_are_passed_over() -> None:
    values = np.linspace(-1, 1, 7, dtype=np.float32)
    head = struct.pack("<HHIIHH", 3, 1, 16_000, 64_000, 4, 32)
    chunks = [(b"LIST", b"odd"), (b"fmt ", head), (b"data", values.tobytes())]
    body = b"".join(
        kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for kind, data in chunks
    )
    file = b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body
    np.testing.assert_array_equal(read(file)[0, :7], values)


def test_rows_are_cut_and_filled_to_one_length_whatever_stands_beside_them() -> None:
    long, short = (wav_of(shifted(list(range(n)), 2)) for n in (90, 3))
    both = read(short, long)
    assert both.shape == (2, 50)
    assert both.tobytes() == read(short).tobytes() + read(long).tobytes()


def test_file_that_is_cut_anywhere_is_refused() -> None:
    file = wav_of(shifted(list(range(10)), 2))
    for length in range(len(file)):
        with pytest.raises(DocumentError, match="row 0: 'file'"):
            read(file[:length])


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for begin in (b"", b"RIFF\0\0\0\0WAVE", b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\0\0"):
        with contextlib.suppress(DocumentError):
            samples_from_file(begin + data, rate=16_000, most=50)


def test_sound_of_another_rate_is_refused() -> None:
    with pytest.raises(DocumentError, match="8000 samples a second, 16000 are taken"):
        read(wav_of(b"\0\0", rate=8000))


def test_specs_and_what_is_refused_before_there_is_a_sound() -> None:
    file = TensorSpec(name="file", dtype="uint8", shape=("batch", "bytes"))
    assert infer_specs([STEP], [file])[1].shape == ("batch", 50)
    scaled = Scale(source="file", result="file", factor=1.0)
    with pytest.raises(ConfigurationError, match=r"step 1 \(sound\): .*not the bytes of files"):
        infer_specs([scaled, STEP], [file])
