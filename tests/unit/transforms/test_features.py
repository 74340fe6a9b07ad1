# SPDX-License-Identifier: Apache-2.0
"""Features against plain definitions, on values nobody wants to see included."""

from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from insight_edge.documents.steps import Feature, Measure, Observe
from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import ConfigurationError
from insight_edge.transforms.features import (
    MAX_INPUT_FEATURES,
    column_features,
    extract,
    image_features,
    output_features,
)
from insight_edge.transforms.observed import check_observe

Array = NDArray[Any]


def measured(measure: Measure, array: Array, index: int | None = None, axis: int = 1) -> Array:
    feature = Feature(name="f", tensor="x", measure=measure, index=index, axis=axis)
    return extract([feature], {"x": array})[:, 0]


def random_images(rows: int, *shape: int) -> Array:
    return np.random.default_rng(rows).random((rows, *shape), dtype=np.float32)


def test_whole_row_measures_are_numpys() -> None:
    images = random_images(5, 3, 8, 6)
    flat = images.reshape(5, -1).astype(np.float64)
    np.testing.assert_allclose(measured("mean", images), flat.mean(axis=1))
    np.testing.assert_allclose(measured("std", images), flat.std(axis=1))
    np.testing.assert_array_equal(measured("min", images), flat.min(axis=1))
    np.testing.assert_array_equal(measured("max", images), flat.max(axis=1))
    np.testing.assert_array_equal(measured("contrast", images), np.ptp(flat, axis=1))


def test_sharpness_is_the_mean_difference_of_all_neighbours() -> None:
    image = np.array([[[0, 4, 4], [1, 4, 9]]], dtype=np.uint8)
    across, down = [4, 0, 3, 5], [1, 0, 5]
    assert measured("sharpness", image).tolist() == [sum(across + down) / 7]


def test_sharpness_of_one_pixel_is_zero() -> None:
    assert measured("sharpness", np.ones((2, 1, 1))).tolist() == [0, 0]


@pytest.mark.parametrize("measure", ["mean", "std", "sharpness"])
@pytest.mark.parametrize("index", [None, 2])
def test_measures_are_the_same_in_either_layout(measure: Measure, index: int | None) -> None:
    first = random_images(4, 3, 6, 5)
    last = np.moveaxis(first, 1, -1)
    np.testing.assert_array_equal(
        measured(measure, first, index), measured(measure, last, index, axis=-1)
    )


def test_channel_measures_read_that_channel_alone() -> None:
    images = random_images(4, 3, 6, 5)
    np.testing.assert_array_equal(measured("std", images, 1), measured("std", images[:, 1]))


def test_features_do_not_depend_on_those_beside_them() -> None:
    images = random_images(3, 3, 6, 5)
    rows = Feature(name="row", tensor="x", measure="mean", index=0, axis=2)
    features = (*image_features("x", 3), rows, *column_features("x", "abc"))
    together = extract(features, {"x": images})
    for column, feature in enumerate(features):
        alone = extract([feature], {"x": images})
        np.testing.assert_array_equal(alone[:, 0], together[:, column])


def test_value_is_the_element_of_the_flattened_row() -> None:
    table = np.arange(12).reshape(2, 2, 3)
    columns = extract(
        [Feature(name=str(i), tensor="x", measure="value", index=i) for i in (5, 0)], {"x": table}
    )
    assert columns.tolist() == [[5, 0], [11, 6]]


def test_probability_measures_of_known_rows() -> None:
    rows = np.array([[0.25, 0.25, 0.25, 0.25], [0, 1, 0, 0], [0.5, 0.125, 0.375, 0]])
    assert measured("confidence", rows).tolist() == [0.25, 1, 0.5]
    assert measured("margin", rows).tolist() == [0, 1, 0.125]
    assert measured("top", rows).tolist() == [0, 1, 0]
    third = -(0.5 * np.log(0.5) + 0.125 * np.log(0.125) + 0.375 * np.log(0.375))
    np.testing.assert_allclose(measured("entropy", rows), [np.log(4), 0, third], atol=1e-15)
    assert measured("margin", rows[:, :1]).tolist() == rows[:, 0].tolist()


@given(hnp.arrays(np.float64, (3, 6), elements=st.floats(0, 1)))
def test_entropy_is_within_its_bounds(rows: Array) -> None:
    shares = (rows + 1e-9) / (rows + 1e-9).sum(axis=1, keepdims=True)
    found = measured("entropy", shares)
    assert (found >= 0).all()
    assert (found <= np.log(6) + 1e-12).all()


def everything() -> tuple[Feature, ...]:
    summaries = [
        Feature(name=measure, tensor="x", measure=measure)
        for measure in get_args(Measure)
        if measure != "value"
    ]
    return (*summaries, Feature(name="value", tensor="x", measure="value", index=3))


WILD = st.floats(width=32) | st.sampled_from([np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-45, 0.0])


@given(hnp.arrays(np.float32, (4, 3, 2), elements=WILD))
def test_nan_in_a_row_makes_every_summary_of_that_row_nan_and_no_other(images: Array) -> None:
    table = extract(everything(), {"x": images})
    tame = np.isfinite(images).all(axis=(1, 2))
    hurt = np.isnan(images).any(axis=(1, 2))
    assert np.isfinite(table[tame]).all()
    assert np.isnan(table[hurt, :-1]).all()
    np.testing.assert_array_equal(table[:, -1], images.reshape(4, -1)[:, 3])


@given(rows=st.integers(1, 9), dtype=st.sampled_from(["uint8", "float16", "float32", "bool"]))
def test_rows_do_not_depend_on_their_batch(rows: int, dtype: str) -> None:
    images = (random_images(rows, 3, 8, 8) * 255).astype(dtype)
    features = (*image_features("x", 3), *everything())
    together = extract(features, {"x": images})
    for row in range(rows):
        alone = extract(features, {"x": images[row : row + 1]})
        assert alone.tobytes() == together[row : row + 1].tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_features_have_the_same_bits_whatever_the_memory_order(dtype: str) -> None:
    images = random_images(5, 3, 17, 19).astype(dtype)
    features = image_features("x", 3)
    expected = extract(features, {"x": images})
    assert extract(features, {"x": np.asfortranarray(images)}).tobytes() == expected.tobytes()


def test_no_rows_and_no_features_are_no_special_case() -> None:
    assert extract(everything(), {"x": np.empty((0, 3, 4))}).shape == (0, 11)
    assert extract([], {"x": np.empty((7, 3))}).shape == (7, 0)


def test_extract_needs_a_tensor() -> None:
    with pytest.raises(ValueError, match="no tensors"):
        extract([], {})


def test_default_features_have_unique_names_and_can_be_computed() -> None:
    features = image_features("x", 3)
    outputs = output_features("p")
    image = TensorSpec(name="x", dtype="float32", shape=("n", 3, 8, 8))
    shares = TensorSpec(name="p", dtype="float32", shape=("n", 10))
    check_observe(Observe(inputs=features, outputs=outputs), [image], [shares])
    table = extract(features, {"x": random_images(2, 3, 8, 8)})
    assert np.isfinite(table).all()
    assert "x.mean.2" in {feature.name for feature in features}


def test_one_channel_has_no_features_of_its_own() -> None:
    assert all(feature.index is None for feature in image_features("x"))


def test_column_features_take_the_columns_in_order() -> None:
    table = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(extract(column_features("t", "abc"), {"t": table}), table)


def test_more_input_features_than_observed_are_refused() -> None:
    names = [f"c{index}" for index in range(MAX_INPUT_FEATURES + 1)]
    assert len(column_features("t", names[1:])) == MAX_INPUT_FEATURES
    with pytest.raises(ConfigurationError, match="65 features"):
        column_features("t", names)
    with pytest.raises(ConfigurationError, match="66 features"):
        image_features("x", 30)
    many = tuple(Feature(name=name, tensor="t", measure="value", index=0) for name in names)
    with pytest.raises(ConfigurationError, match="65 input features"):
        check_observe(Observe(inputs=many), [], [])


def test_columns_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="named twice"):
        column_features("t", ["a", "b", "a"])


SPECS = (
    TensorSpec(name="image", dtype="uint8", shape=("n", 8, 8, 3)),
    TensorSpec(name="table", dtype="float32", shape=("n", 5)),
    TensorSpec(name="label", dtype="str", shape=("n",)),
)


@pytest.mark.parametrize(
    ("feature", "reason"),
    [
        (Feature(name="f", tensor="sound", measure="mean"), "no tensor 'sound'"),
        (Feature(name="f", tensor="label", measure="top"), "'label' is str"),
        (Feature(name="f", tensor="table", measure="value"), "needs an index"),
        (Feature(name="f", tensor="table", measure="value", index=5), "no element 5"),
        (Feature(name="f", tensor="table", measure="value", index=-1), "no element -1"),
        (Feature(name="f", tensor="table", measure="sharpness"), "no two spatial"),
        (Feature(name="f", tensor="table", measure="mean", index=0, axis=2), "no channels"),
        (Feature(name="f", tensor="image", measure="mean", index=3, axis=-1), "no channel 3"),
        (Feature(name="f", tensor="image", measure="mean", index=0, axis=0), "no channels"),
        (Feature(name="f", tensor="image", measure="mean", axis=-4), "no channels"),
    ],
)
def test_a_feature_that_cannot_be_computed_is_refused(feature: Feature, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=f"'f': .*{reason}"):
        check_observe(Observe(inputs=(feature,)), SPECS, [])


def test_two_features_of_one_name_are_refused_across_inputs_and_outputs() -> None:
    feature = Feature(name="f", tensor="table", measure="mean")
    with pytest.raises(ConfigurationError, match="one name"):
        check_observe(Observe(inputs=(feature,), outputs=(feature,)), SPECS, SPECS)
