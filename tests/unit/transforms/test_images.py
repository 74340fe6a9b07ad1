# SPDX-License-Identifier: Apache-2.0
"""Steps on images against Pillow and torch, from files on, and what hostile files meet."""

import contextlib
import io
import zlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from insight_edge.documents.steps import (
    AnyStep,
    Channels,
    Crop,
    Decode,
    Layout,
    Letterbox,
    Normalize,
    Resize,
    ResizeShorter,
    Scale,
)
from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import (
    ConfigurationError,
    DocumentError,
    InputError,
    LimitExceededError,
    TensorMismatchError,
)
from insight_edge.transforms import png
from insight_edge.transforms.executor import infer_specs, run
from insight_edge.transforms.files import rows_from_files
from insight_edge.transforms.pictures import pixels_from_file
from tests.fakes.pictures import png_of

Array = NDArray[Any]

with np.load(Path(__file__).parent / "data" / "pillow.npz") as _data:
    RECORDED = dict(_data)
KINDS = [name.removeprefix("file.") for name in RECORDED if name.startswith("file.")]
RESIZED = [name for name in RECORDED if name.startswith("resize.")]
RGB = RECORDED["file.RGB"].tobytes()

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
EVALUATION: tuple[AnyStep, ...] = (
    Decode(source="file", result="x"),
    ResizeShorter(source="x", result="x", size=20, antialias=True),
    Crop(source="x", result="x", height=16, width=16),
    Scale(source="x", result="x", factor=1 / 255),
    Normalize(source="x", result="x", mean=MEAN, std=STD),
    Layout(source="x", result="x", origin="NHWC", to="NCHW"),
)


def file_rows(*files: bytes) -> Array:
    return rows_from_files(files)


def one(step: AnyStep, array: Array) -> Array:
    return run([step], {step.source: array})[step.result]


def read(data: bytes, channels: int = 3) -> Array:
    return pixels_from_file(data, channels=channels, max_pixels=1 << 20)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("block", [5, 512])
def test_files_are_read_as_pillow_reads_them(
    kind: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(png, "_BLOCK_ROWS", block)
    data = RECORDED[f"file.{kind}"].tobytes()
    np.testing.assert_array_equal(read(data), RECORDED[f"rgb.{kind}"])
    np.testing.assert_array_equal(read(data, 1)[..., 0], RECORDED[f"grey.{kind}"])
    np.testing.assert_array_equal(read(data + bytes(99)), RECORDED[f"rgb.{kind}"])


@given(st.lists(st.integers(0, 4), min_size=1, max_size=9), st.integers(1, 5), st.data())
def test_every_filter_in_any_order_is_undone(filters: list[int], width: int, data: Any) -> None:
    length = len(filters) * width * 3
    drawn = data.draw(st.binary(min_size=length, max_size=length))
    raw = np.frombuffer(drawn, np.uint8).reshape(len(filters), width, 3)
    lines = b"".join(bytes([kind]) + row.tobytes() for kind, row in zip(filters, raw, strict=True))
    np.testing.assert_array_equal(
        read(png_of(width, len(filters), lines)), _unfiltered_by_the_book(filters, raw)
    )


def _unfiltered_by_the_book(filters: list[int], raw: Array) -> Array:
    """Undo filters as section 9.2 of the PNG specification says, a byte at a time."""
    found = np.zeros((raw.shape[0] + 1, raw.shape[1] + 1, raw.shape[2]), np.int64)
    for row, column, channel in np.ndindex(raw.shape):
        a, b, c = (
            int(found[row + down, column + right, channel])
            for down, right in ((1, 0), (0, 1), (0, 0))
        )
        distances = [abs(a + b - c - near) for near in (a, b, c)]
        paeth = (a, b, c)[distances.index(min(distances))]
        guess = (0, a, b, (a + b) // 2, paeth)[filters[row]]
        found[row + 1, column + 1, channel] = (int(raw[row, column, channel]) + guess) % 256
    return found[1:, 1:].astype(np.uint8)


@pytest.mark.parametrize("kind", KINDS)
def test_file_that_is_cut_anywhere_is_refused(kind: str) -> None:
    data = RECORDED[f"file.{kind}"].tobytes()
    for length in range(len(data)):
        with pytest.raises(DocumentError):
            read(data[:length])


@given(st.integers(0, len(RGB) - 1), st.integers(1, 255))
def test_damaged_png_is_refused_and_nothing_else_is_raised(at: int, change: int) -> None:
    damaged = bytearray(RGB)
    damaged[at] ^= change
    with pytest.raises(DocumentError):
        read(bytes(damaged))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for begin in (b"", png.SIGNATURE, b"P6 2 2 255\n", b"P5"):
        with contextlib.suppress(DocumentError):
            read(begin + data)


@pytest.mark.parametrize("data", [
    png_of(65_000, 65_000, bytes(1000)), b"P6 65000 65000 255\n" + bytes(100),
])  # fmt: skip
def test_bomb_is_refused_before_anything_is_unpacked(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(zlib, "decompressobj")
    with pytest.raises(LimitExceededError, match="65000 by 65000"):
        read(data)


def test_more_pixels_than_the_header_says_are_never_unpacked() -> None:
    lines = b"\0" + bytes(6)
    np.testing.assert_array_equal(read(png_of(2, 1, lines + bytes(10**7))), np.zeros((1, 2, 3)))


def test_row_that_is_no_image_is_named_and_what_to_do_is_said() -> None:
    with pytest.raises(DocumentError, match="row 1: 'file': an empty file"):
        run(EVALUATION, {"file": file_rows(RGB, b"")})
    with pytest.raises(DocumentError, match="row 0") as caught:
        run(EVALUATION, {"file": file_rows(b"\xff\xd8\xff\xe0" + bytes(9))})
    if find_spec("PIL") is None:
        assert "insight-edge[images]" in str(caught.value.hint)


def test_other_formats_are_read_where_pillow_is() -> None:
    image = pytest.importorskip("PIL.Image")
    stream = io.BytesIO()
    image.fromarray(RECORDED["rgb.RGB"]).save(stream, "BMP")
    data = stream.getvalue()
    np.testing.assert_array_equal(read(data), RECORDED["rgb.RGB"])
    with pytest.raises(LimitExceededError, match="30 by 23"):
        pixels_from_file(data, channels=3, max_pixels=30 * 23 - 1)
    with pytest.raises(DocumentError, match="not an image"):
        read(data[:99])


@pytest.mark.parametrize("name", RESIZED)
def test_resize_agrees_with_pillow_to_a_level(name: str) -> None:
    _, method, size = name.split(".")
    height, width = map(int, size.split("x"))
    step = Resize(source="x", result="x", height=height, width=width, method=method, antialias=True)  # type: ignore[arg-type]
    found = one(step, RECORDED["rgb.RGB"][None])[0]
    # Pillow rounds to whole levels after each direction.
    atol = 0 if method == "nearest" else 1.0
    np.testing.assert_allclose(found, RECORDED[name].astype(np.float32), rtol=0, atol=atol)


@pytest.mark.parametrize("size", [(8, 9), (3, 40), (31, 2), (1, 1), (31, 17)])
def test_antialiased_resize_agrees_with_torch(size: tuple[int, int]) -> None:
    batch = np.random.default_rng(0).integers(0, 256, (2, 31, 17, 3), dtype=np.uint8)
    planes = torch.from_numpy(batch.astype(np.float64)).permute(0, 3, 1, 2)
    oracle = torch.nn.functional.interpolate(
        planes, size=size, mode="bilinear", align_corners=False, antialias=True
    )
    step = Resize(source="x", result="x", height=size[0], width=size[1], antialias=True)
    expected = oracle.permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(one(step, batch), expected, rtol=0, atol=1e-4)


def test_evaluation_from_bytes_agrees_with_pillow_to_a_level() -> None:
    found = run(EVALUATION, {"file": file_rows(RGB)})["x"]
    levels = RECORDED["evaluated"].astype(np.float32) / 255
    expected = ((levels - MEAN) / STD).transpose(2, 0, 1)[None]
    assert found.shape == (1, 3, 16, 16)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1.02 / 255 / min(STD))


def test_images_of_several_sizes_have_the_bits_of_batches_of_one() -> None:
    other = png_of(40, 50, (b"\0" + bytes(range(120))) * 50)
    rows = file_rows(RGB, other)
    both = run(EVALUATION, {"file": rows})
    assert set(both) == {"file", "x"}
    alone = [run(EVALUATION, {"file": rows[i : i + 1]})["x"] for i in (0, 1)]
    assert both["x"].tobytes() == np.concatenate(alone).tobytes()
    ragged = run(EVALUATION[:1], {"file": rows})
    assert set(ragged) == {"file"}
    with pytest.raises(TensorMismatchError, match="no row"):
        run(EVALUATION, {"file": rows[:0]})


def test_specs_are_those_of_the_arrays() -> None:
    [file, x] = infer_specs(
        EVALUATION, [TensorSpec(name="file", dtype="uint8", shape=("batch", "bytes"))]
    )
    assert (x.dtype, x.shape) == ("float32", ("batch", 3, 16, 16))
    assert file.shape == ("batch", "bytes")


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 30), st.integers(1, 30))
def test_letterbox_keeps_the_ratio_and_says_where_it_put_the_image(
    height: int, width: int, high: int, wide: int
) -> None:
    step = Letterbox(source="x", result="y", height=high, width=wide, fill=-1, placement="p")
    made = run([step], {"x": np.full((2, height, width, 1), 7, np.uint8)})
    for scale_x, scale_y, left, top, w, h in made["p"].tolist():
        inner = made["y"][0, int(top) :, int(left) :][: round(h * scale_y), : round(w * scale_x)]
        assert (inner == 7).all()
        assert (w, h) == (width, height)
        assert inner.size == (made["y"][0] == 7).sum()
        assert inner.shape[0] == high or inner.shape[1] == wide


def test_channels_turn_rgb_into_bgr() -> None:
    image = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)
    found = one(Channels(source="x", result="x", order=(2, 1, 0)), image)
    np.testing.assert_array_equal(found, image[..., ::-1])


IMAGE = TensorSpec(name="x", dtype="uint8", shape=("batch", 30, 20, 3))
REFUSED: list[tuple[AnyStep, TensorSpec, str]] = [
    (Decode(source="x", result="x"), IMAGE, "not the bytes of files"),
    (Crop(source="x", result="x", height=31, width=2), IMAGE, "cannot be 31 by 2"),
    (Crop(source="x", result="x", height=0, width=2), IMAGE, "not an image size"),
    (Channels(source="x", result="x", order=(3,)), IMAGE, "has 3 channels"),
    (Channels(source="x", result="x", order=()), IMAGE, "has 3 channels"),
    (
        Resize(source="x", result="x", height=9, width=9),
        TensorSpec(name="x", dtype="float32", shape=("batch", 3, 30, 20)),
        "channels come before its rows",
    ),
    (
        Letterbox(source="x", result="x", height=9, width=9),
        TensorSpec(name="x", dtype="float32", shape=("batch", 30)),
        "has 2 dimensions",
    ),
]


@pytest.mark.parametrize(("step", "spec", "message"), REFUSED)
def test_step_in_the_wrong_place_is_refused_before_there_is_an_image(
    step: AnyStep, spec: TensorSpec, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"step 0 .*{message}"):
        infer_specs([step], [spec])


def test_image_that_is_smaller_than_its_middle_is_the_callers_mistake() -> None:
    step = Crop(source="x", result="x", height=4, width=4)
    with pytest.raises(InputError, match="less than the 4 by 4"):
        one(step, np.zeros((1, 3, 9, 1), np.uint8))
