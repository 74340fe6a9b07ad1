# SPDX-License-Identifier: Apache-2.0
"""Blocks of images: all points are met, neighbours are neighbours, and drift is no more common."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from insight_edge.documents.steps import Feature, Observe
from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import ConfigurationError
from insight_edge.stats.distance import count_cells, psi
from insight_edge.stats.grid import grid_from_rows
from insight_edge.stats.threshold import draw_threshold
from insight_edge.transforms.features import Extractor, column_features, extract, image_features
from insight_edge.transforms.observed import check_observe
from insight_edge.transforms.reference import reference_rows
from insight_edge.transforms.sampling import MOST_SAMPLED, Sampler, Sampling, default_strides

FEATURES = image_features("x", 3)
SMALL = image_features("x")


def spec(*shape: int, name: str = "x") -> TensorSpec:
    return TensorSpec(name=name, dtype="float32", shape=("n", *shape))


def images(count: int, *shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((count, *shape), np.float32)


@given(
    height=st.integers(2, 23),
    width=st.integers(2, 23),
    stride=st.integers(2, 9),
    layout=st.sampled_from(["chw", "hwc", "hw"]),
)
def test_every_point_is_met_as_often_as_rows_go_round(
    height: int, width: int, stride: int, layout: str
) -> None:
    stride = min(stride, height, width)
    shape, spatial = {
        "chw": ((3, height, width), (2, 3)),
        "hwc": ((height, width, 3), (1, 2)),
        "hw": ((height, width), (1, 2)),
    }[layout]
    sampler = Sampler(shape, spatial, stride)
    points = np.arange(np.prod(shape)).reshape(1, *shape)
    met = [sampler.joined(points, number) for number in range(sampler.places)]
    assert {each.shape for each in met} == {(1, *sampler.sampled_shape)}
    assert np.array_equal(np.unique(met), points.ravel())
    assert len({each.tobytes() for each in met}) == sampler.places
    assert np.array_equal(sampler.joined(points, sampler.places), met[0])


@pytest.mark.parametrize("axis", [1, 3])
def test_sharpness_is_that_of_true_neighbours(axis: int) -> None:
    down, across = np.mgrid[:30, :40]
    image = np.moveaxis(np.stack([2.0 * down + 5.0 * across] * 3)[None], 1, axis)
    feature = Feature(name="sharp", tensor="x", measure="sharpness", axis=axis)
    sampling = Sampling({"x": 6}, [feature], [spec(*image.shape[1:])])
    extractor = Extractor([feature], sampling.names)
    for number in (0, 3):
        assert extractor.rows(sampling.joined({"x": image}, number))[0, 0] == 3.5
    assert extract([feature], {"x": image})[0, 0] == pytest.approx(3.5, abs=0.05)


def test_row_of_a_stream_is_that_of_its_number() -> None:
    x = images(50, 3, 20, 22)
    sampling = Sampling({"x": 4}, FEATURES, [spec(3, 20, 22)])
    extractor = Extractor(FEATURES, sampling.names)
    rows = reference_rows(Observe(inputs=FEATURES, strides={"x": 4}), {"x": x}, {"x": x})
    for number in range(50):
        one = {"x": x[number : number + 1], "other": x}
        kept = sampling.blocks(one, number)
        assert kept["other"] is x
        shaped = np.frombuffer(kept["x"].tobytes(), np.float32)
        tensors = {"x": shaped.reshape(-1, *sampling.specs([spec(3, 20, 22)])[0].shape[1:])}
        assert np.array_equal(extractor.rows(tensors)[0], rows[number])
        assert np.array_equal(extractor.rows(sampling.joined(one, number))[0], rows[number])


def test_memory_in_any_order_gives_the_same_blocks() -> None:
    x = images(4, 3, 20, 22)
    sampler = Sampler((3, 20, 22), (2, 3), 5)
    turned = np.asfortranarray(x)
    assert np.array_equal(sampler.joined(turned, 7), sampler.joined(x, 7))
    assert np.array_equal(sampler.joined(x[::2], 7), sampler.joined(x, 7)[::2])


def test_nothing_sampled_is_the_whole_as_before() -> None:
    x = images(5, 3, 8, 8)
    rows = reference_rows(Observe(inputs=FEATURES), {"x": x}, {"x": x})
    assert np.array_equal(rows, extract(FEATURES, {"x": x}))


@pytest.mark.parametrize(
    ("features", "shape", "stride"),
    [
        (FEATURES, (3, 224, 224), 9),
        (image_features("x", 3, axis=3), (224, 224, 3), 9),
        (SMALL, (300, 200), 6),
        (FEATURES, (3, 64, 64), None),
        (column_features("x", ["a"]), (40_000,), None),
        (FEATURES, (3, 1, 90_000), None),
    ],
)
def test_default_stride_keeps_to_the_limit(
    features: Sequence[Feature], shape: tuple[int, ...], stride: int | None
) -> None:
    found = default_strides(features, [spec(*shape), spec(999, 999, name="unread")])
    assert found == ({} if stride is None else {"x": stride})
    if stride is not None:
        (sampled,) = Sampling(found, features, [spec(*shape)]).specs([spec(*shape)])
        assert np.prod([size for size in sampled.shape if isinstance(size, int)]) <= MOST_SAMPLED


@pytest.mark.parametrize(
    ("features", "shape", "strides"),
    [
        (FEATURES, (3, 20, 20), {"y": 4}),
        (FEATURES, (3, 20, 20), {"x": 1}),
        (FEATURES, (3, 20, 20), {"x": 21}),
        (column_features("x", ["a"]), (20,), {"x": 4}),
        ((*FEATURES, Feature(name="v", tensor="x", measure="value", index=0)), (3, 9, 9), {"x": 4}),
        ((*SMALL, Feature(name="m", tensor="x", measure="mean", axis=3)), (3, 9, 9), {"x": 4}),
    ],
)
def test_what_cannot_be_sampled_is_refused(
    features: tuple[Feature, ...], shape: tuple[int, ...], strides: dict[str, int]
) -> None:
    with pytest.raises(ConfigurationError, match="observe: "):
        check_observe(Observe(inputs=features, strides=strides), [spec(*shape)], [])


BUDGET, WINDOW, WINDOWS = 0.05, 100, 150
STRIDED = Observe(inputs=SMALL, strides={"x": 6})


def scenes(count: int, seed: int) -> NDArray[np.float32]:
    """Return images whose parts differ, so that it matters where one looks."""
    random = np.random.default_rng(seed)
    slope = np.linspace(0, 2, 24, dtype=np.float32)
    level = random.standard_normal((count, 1, 1), np.float32)
    tilt = random.uniform(0.5, 1.5, (count, 1, 1)).astype(np.float32)
    noise = images(count, 24, 24, seed=seed) / np.float32(5)
    return (level + tilt * (slope[:, None] + slope) + noise).astype(np.float32)


def share_of_alarms(reference: Observe) -> float:
    x, later = scenes(2000, 1), scenes(WINDOW * WINDOWS, 2)
    rows = reference_rows(reference, {"x": x}, {"x": x})
    found = reference_rows(STRIDED, {"x": later}, {"x": later})
    grid = grid_from_rows([feature.name for feature in SMALL], rows)
    drawn = draw_threshold(grid, rows, window_rows=WINDOW, budget=BUDGET)
    assert drawn is not None
    whole = count_cells(grid, rows).counts
    scores = [
        psi(whole, count_cells(grid, found[start : start + WINDOW]).counts).max()
        for start in range(0, len(found), WINDOW)
    ]
    return float(np.mean(np.array(scores) > drawn.limit))


def test_sampled_windows_keep_the_budget_of_false_alarms() -> None:
    assert share_of_alarms(STRIDED) <= BUDGET + 3 * (BUDGET * (1 - BUDGET) / WINDOWS) ** 0.5


def test_a_reference_of_whole_images_would_not() -> None:
    assert share_of_alarms(Observe(inputs=SMALL)) > 0.5
