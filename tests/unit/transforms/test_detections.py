# SPDX-License-Identifier: Apache-2.0
"""Steps on boxes against oracles that look at every pair, and back into the caller's image."""

from fractions import Fraction
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from insight_edge.documents.detection_steps import BoxFormat
from insight_edge.documents.steps import (
    AnyStep,
    Boxes,
    Label,
    Letterbox,
    Nms,
    Unplace,
)
from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import ConfigurationError
from insight_edge.transforms.executor import carried, infer_specs, run

Array = NDArray[Any]
Kept = list[tuple[int, int]]

PLAIN = Nms(
    source="boxes",
    scores="scores",
    result="kept",
    scores_result="sure",
    classes_result="class",
    iou=0.45,
    threshold=(0.25, 0.5),
    most=6,
)


def suppression(**changes: Any) -> Nms:
    return msgspec.structs.replace(PLAIN, **changes)


def suppressed_by_the_book(step: Nms, boxes: Array, scores: Array) -> Kept:
    """Keep by falling score what overlaps with nothing kept; exact, over every pair."""
    found: Kept = []
    pairs = [(b, c) for b, c in np.ndindex(scores.shape) if scores[b, c] >= step.threshold[c]]
    for box, kind in sorted(pairs, key=lambda pair: -float(scores[pair])):
        rivals = [b for b, c in found if step.across or c == kind]
        if all(overlap(boxes[box], boxes[rival]) <= Fraction(45, 100) for rival in rivals):
            found.append((box, kind))
    return found[: step.most]


def overlap(one: Array, other: Array) -> Fraction:
    sides = [max(int(min(one[i + 2], other[i + 2]) - max(one[i], other[i])), 0) for i in (0, 1)]
    areas = [int((box[2] - box[0]) * (box[3] - box[1])) for box in (one, other)]
    common = sides[0] * sides[1]
    return Fraction(common, sum(areas) - common) if sum(areas) - common else Fraction(0)


CORNERS = hnp.arrays(np.int64, (2, 12, 4), elements=st.integers(0, 9))
# Few values, so that there are ties; NaN reaches no threshold.
SCORES = hnp.arrays(
    np.float32, (2, 12, 2), elements=st.sampled_from([0.1, 0.25, 0.5, 0.75, 1.0, np.nan])
)


@given(CORNERS, SCORES, st.booleans())
def test_suppression_agrees_with_looking_at_every_pair(
    corners: Array, scores: Array, across: bool
) -> None:
    begin, size = corners[..., :2], corners[..., 2:]
    boxes = np.concatenate([begin, begin + size], axis=-1).astype(np.float32)
    step = suppression(across=across)
    made = run([step], {"boxes": boxes, "scores": scores})
    for row in range(2):
        wanted = suppressed_by_the_book(step, boxes[row], scores[row])
        count = len(wanted)
        assert made["class"][row].tolist() == [c for _, c in wanted] + [-1] * (6 - count)
        np.testing.assert_array_equal(made["kept"][row, :count], [boxes[row, b] for b, _ in wanted]
                                      or np.zeros((0, 4)))  # fmt: skip
        np.testing.assert_array_equal(made["sure"][row, :count], [scores[row][p] for p in wanted])
        assert not made["kept"][row, count:].any()
        assert not made["sure"][row, count:].any()


def test_box_that_is_not_a_number_is_never_kept_and_suppresses_nothing() -> None:
    boxes = np.array([[[0, 0, np.nan, 9], [0, 0, 9, 9], [0, 0, np.inf, 9]]], np.float32)
    scores = np.array([[[1.0, 0], [0.9, 0], [0.95, 0]]], np.float32)
    made = run([suppression()], {"boxes": boxes, "scores": scores})
    assert made["class"][0].tolist() == [0, -1, -1, -1, -1, -1]
    np.testing.assert_array_equal(made["kept"][0, 0], [0, 0, 9, 9])


def test_only_the_best_candidates_are_compared() -> None:
    boxes = np.tile(np.array([[[0, 0, 9, 9]]], np.float32), (1, 50, 1))
    boxes[0, -1] += 20
    scores = np.linspace(1, 0.9, 50, dtype=np.float32).reshape(1, 50, 1)
    for candidates, kept in ((49, 1), (50, 2)):
        step = suppression(threshold=(0.5,), candidates=candidates)
        made = run([step], {"boxes": boxes, "scores": scores})
        assert (made["class"] == 0).sum() == kept


FORMATS: tuple[BoxFormat, ...] = ("xyxy", "xywh", "cxcywh")


@pytest.mark.parametrize("origin", FORMATS)
@pytest.mark.parametrize("to", FORMATS)
def test_boxes_there_and_back_are_the_same(origin: BoxFormat, to: BoxFormat) -> None:
    boxes = np.random.default_rng(0).integers(0, 99, (2, 5, 4)).astype(np.float32)
    steps = (
        Boxes(source="b", result="c", origin=origin, to=to),
        Boxes(source="c", result="d", origin=to, to=origin),
    )
    np.testing.assert_array_equal(run(steps, {"b": boxes})["d"], boxes)


def test_formats_of_boxes_are_what_they_are_called() -> None:
    for origin, box in (("xyxy", [2, 3, 8, 7]), ("xywh", [2, 3, 6, 4]), ("cxcywh", [5, 5, 6, 4])):
        step = Boxes(source="b", result="b", origin=origin)  # type: ignore[arg-type]
        found = run([step], {"b": np.array([[box]], np.float32)})["b"]
        np.testing.assert_array_equal(found, [[[2, 3, 8, 7]]])


@given(
    st.tuples(*[st.integers(1, 60)] * 2), st.tuples(*[st.integers(1, 60)] * 2),
    hnp.arrays(np.float32, (4, 4), elements=st.floats(0, 1, width=32)),
)  # fmt: skip
def test_boxes_come_back_through_the_letterbox(
    size: tuple[int, int], canvas: tuple[int, int], shares: Array
) -> None:
    before = Letterbox(source="x", result="y", height=canvas[0], width=canvas[1], placement="p")
    after = Unplace(source="boxes", result="boxes", placement="p")
    placed = run([before], {"x": np.zeros((1, *size, 1), np.uint8)})
    wanted = shares * np.array([size[1], size[0]] * 2)
    scale_x, scale_y, left, top, _, _ = placed["p"][0]
    seen = wanted * np.array([scale_x, scale_y] * 2)
    seen += np.array([left, top] * 2)
    found = run([after], placed | {"boxes": seen[None].astype(np.float32)})["boxes"]
    np.testing.assert_allclose(found[0], wanted, rtol=0, atol=1e-3 * max(size))
    outside = run([after], placed | {"boxes": np.array([[[-999, -999, 999, 999]]], np.float32)})
    assert (outside["boxes"][0, 0] >= 0).all()
    assert (outside["boxes"][0, 0] <= np.array([size[1], size[0]] * 2)).all()
    assert carried([after], ["boxes"]) == {"p"}
    assert carried([before, after], ["boxes", "x"]) == set()


def test_what_is_left_over_has_a_name_of_its_own() -> None:
    label = Label(source="class", result="name", classes=("cat", "dog"), absent="")
    found = run([label], {"class": np.array([[1, 0, -1]])})["name"]
    assert found.tolist() == [["dog", "cat", ""]]


def spec(name: str, *shape: int | str, dtype: str = "float32") -> TensorSpec:
    return TensorSpec(name=name, dtype=dtype, shape=("batch", *shape))


REFUSED: list[tuple[AnyStep, list[TensorSpec], str]] = [
    (suppression(), [spec("boxes", 9, 4), spec("scores", 8, 2)], "do not fit"),
    (suppression(), [spec("boxes", 9, 5), spec("scores", 9, 2)], "not boxes"),
    (suppression(), [spec("boxes", 9, 4), spec("scores", 2, 9)], "do not fit"),
    (suppression(), [spec("boxes", 9, 4), spec("scores", 9, 3)], "2 thresholds"),
    (suppression(), [spec("boxes", 9, 4)], "no tensor 'scores'"),
    (suppression(iou=45), [spec("boxes", 9, 4), spec("scores", 9, 2)], "overlap of 45"),
    (
        Unplace(source="boxes", result="boxes", placement="p"),
        [spec("boxes", 9, 4), spec("p", 4)],
        "not a placement",
    ),
]


@pytest.mark.parametrize(("step", "specs", "message"), REFUSED)
def test_step_that_does_not_fit_is_refused_before_there_is_a_box(
    step: AnyStep, specs: list[TensorSpec], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        infer_specs([step], specs)


def test_specs_are_those_of_the_arrays() -> None:
    made = infer_specs([suppression()], [spec("boxes", 9, 4), spec("scores", 9, 2)])
    arrays = run([suppression()], {
        "boxes": np.zeros((1, 9, 4), np.float32), "scores": np.zeros((1, 9, 2), np.float32),
    })  # fmt: skip
    for one in made:
        array = arrays[one.name]
        assert (one.dtype, one.shape[1:]) == (array.dtype.name, array.shape[1:])
