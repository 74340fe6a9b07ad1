# SPDX-License-Identifier: Apache-2.0
from typing import Any

import numpy as np
import pytest

from insight_edge.bundle.npz import npz_from_arrays
from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import DocumentError, TensorMismatchError
from insight_edge.streaming.inputs import inputs_of, ppm
from insight_edge.transforms.pictures import pixels_from_file

X = TensorSpec(name="x", dtype="float32", shape=("batch", 2))
N = TensorSpec(name="n", dtype="int64", shape=("batch",))
FILE = TensorSpec(name="file", dtype="uint8", shape=("batch", "bytes"))

ONE = {"x": np.array([[1, 2]], np.float32)}
BOTH = ONE | {"n": np.array([3])}


@pytest.mark.parametrize(
    ("value", "specs", "wanted"),
    [
        (b"[1, 2]", (X,), ONE),
        (b'{"x": [1, 2], "other": 0}', (X,), ONE),
        (b'{"x": [[1, 2]], "n": 3}', (X, N), BOTH),
        (npz_from_arrays({"x": ONE["x"][0], "n": np.array(3)}), (X, N), BOTH),
        (["1", "2"], (X,), ONE),
        (ONE["x"][0], (X,), ONE),
        ({"x": ["1.0", "2"], "n": ["3"]}, (X, N), BOTH),
    ],
)
def test_row_is_named_and_has_a_first_dimension(
    value: Any, specs: tuple[TensorSpec, ...], wanted: dict[str, Any]
) -> None:
    found = inputs_of(value, specs)
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


def test_bytes_are_the_file_where_the_bundle_takes_files() -> None:
    assert inputs_of(b"\1\2", (FILE,))["file"].tolist() == [[1, 2]]


def test_frame_is_a_file_that_every_bundle_reads() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    written = inputs_of(frame, (FILE,))["file"]
    read = pixels_from_file(written[0].tobytes(), channels=3, max_pixels=35)
    np.testing.assert_array_equal(read, frame)


@pytest.mark.parametrize(
    ("value", "specs", "kind", "words"),
    [
        (b"\x89PNG", (X,), DocumentError, "neither JSON nor an .npz"),
        (b"7", (X,), DocumentError, "neither an object nor a list"),
        (b"[1]", (X, N), TensorMismatchError, "the bundle takes x, n"),
        (b'{"n": 1}', (X,), TensorMismatchError, "'x' is missing"),
        (b'["a", 1]', (X,), TensorMismatchError, "input 'x'"),
        (np.zeros((2, 2, 4), np.uint8), (FILE,), TensorMismatchError, "a picture of uint8"),
    ],
)
def test_what_is_no_row_of_the_bundle_is_refused_in_a_line(
    value: Any, specs: tuple[TensorSpec, ...], kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        inputs_of(value, specs)


def test_only_pictures_of_three_channels_are_written() -> None:
    with pytest.raises(TensorMismatchError):
        ppm(np.zeros((2, 2, 3), np.float32))
