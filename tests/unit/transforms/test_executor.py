# SPDX-License-Identifier: Apache-2.0
"""Each step against an oracle, and what `infer_specs` claims against what `run` does."""

from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from insight_edge.documents.steps import (
    AnyStep,
    Argmax,
    Cast,
    Label,
    Layout,
    Normalize,
    Resize,
    Scale,
    Sigmoid,
    Slice,
    Softmax,
    Threshold,
    Top,
)
from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import ConfigurationError, TensorMismatchError
from insight_edge.transforms.executor import infer_specs, run

Array = NDArray[Any]

IMAGE_PIPELINE: tuple[AnyStep, ...] = (
    Resize(source="image", result="x", height=12, width=9),
    Scale(source="x", result="x", factor=1 / 255, offset=-0.25),
    Normalize(source="x", result="x", mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7)),
    Layout(source="x", result="x", origin="NHWC", to="NCHW"),
    Softmax(source="x", result="soft", axis=1),
    Cast(source="soft", result="half", dtype="float16"),
    Layout(source="soft", result="last", origin="NCHW", to="NHWC"),
    Argmax(source="last", result="class"),
    Label(source="class", result="label", classes=("cat", "dog", "heron")),
)


def images(rows: int, *shape: int) -> Array:
    generator = np.random.default_rng(rows)
    return generator.integers(0, 256, (rows, *shape), dtype=np.uint8)


def one(step: AnyStep, array: Array) -> Array:
    return run([step], {step.source: array})[step.result]


@pytest.mark.parametrize(
    ("size", "target"),
    [((8, 8), (32, 32)), ((31, 17), (8, 9)), ((5, 7), (5, 7)), ((1, 1), (4, 3)), ((6, 4), (1, 1))],
)
@pytest.mark.parametrize("channels", [(), (3,)])
def test_resize_agrees_with_torch(
    size: tuple[int, int], target: tuple[int, int], channels: tuple[int, ...]
) -> None:
    batch = images(3, *size, *channels)
    step = Resize(source="image", result="x", height=target[0], width=target[1])
    first = torch.from_numpy(batch.astype(np.float64))
    planes = first.permute(0, 3, 1, 2) if channels else first[:, None]
    oracle = torch.nn.functional.interpolate(
        planes, size=target, mode="bilinear", align_corners=False, antialias=False
    )
    expected = oracle.permute(0, 2, 3, 1) if channels else oracle[:, 0]
    np.testing.assert_allclose(one(step, batch), expected.numpy(), rtol=0, atol=1e-4)


def test_resize_to_the_same_size_changes_no_bit() -> None:
    batch = images(2, 6, 5)
    step = Resize(source="image", result="x", height=6, width=5)
    np.testing.assert_array_equal(one(step, batch), batch.astype(np.float32))


def test_scale_multiplies_then_adds_in_float32() -> None:
    batch = images(2, 4)
    scaled = one(Scale(source="x", result="x", factor=0.5, offset=3.0), batch)
    np.testing.assert_array_equal(scaled, batch.astype(np.float32) * np.float32(0.5) + 3)
    assert scaled.dtype == np.float32


@pytest.mark.parametrize("axis", [1, -1])
def test_normalize_agrees_with_float64_along_its_axis(axis: int) -> None:
    batch = np.random.default_rng(0).normal(size=(2, 3, 4, 3))
    mean, std = (0.4, 0.5, 0.6), (0.1, 0.2, 0.3)
    shape = (3, 1, 1) if axis == 1 else (3,)
    expected = (batch - np.reshape(mean, shape)) / np.reshape(std, shape)
    found = one(Normalize(source="x", result="x", mean=mean, std=std, axis=axis), batch)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_layout_inserts_a_letter_only_in_to() -> None:
    batch = images(2, 4, 5)
    found = one(Layout(source="x", result="x", origin="NHW", to="NCHW"), batch)
    np.testing.assert_array_equal(found, batch[:, None])


@given(order=st.permutations("HWC"), rows=st.integers(0, 3))
def test_layout_there_and_back_is_the_identity(order: list[str], rows: int) -> None:
    batch = images(rows, 2, 3, 4)
    to = "N" + "".join(order)
    steps = (
        Layout(source="x", result="y", origin="NHWC", to=to),
        Layout(source="y", result="z", origin=to, to="NHWC"),
    )
    tensors = run(steps, {"x": batch})
    np.testing.assert_array_equal(tensors["z"], batch)
    assert tensors["y"].flags.c_contiguous


FLOATS = hnp.arrays(np.float32, (3, 5), elements=st.floats(-80, 80, width=32))


@given(FLOATS)
def test_softmax_sums_to_one_and_keeps_the_order(logits: Array) -> None:
    found = one(Softmax(source="x", result="p"), logits)
    np.testing.assert_allclose(found.sum(axis=-1), 1, rtol=1e-5)
    ranks = np.argsort(logits, axis=-1, kind="stable")
    assert (np.diff(np.take_along_axis(found, ranks, axis=-1), axis=-1) >= 0).all()
    assert (found >= 0).all()


@given(FLOATS, st.integers(-64, 64))
def test_softmax_does_not_change_when_all_logits_shift(logits: Array, shift: int) -> None:
    whole = np.round(logits)
    step = Softmax(source="x", result="p")
    np.testing.assert_array_equal(one(step, whole), one(step, whole + np.float32(shift)))


def test_softmax_does_not_overflow() -> None:
    found = one(Softmax(source="x", result="p"), np.array([[3e38, -3e38, 0]], dtype=np.float32))
    np.testing.assert_array_equal(found, [[1, 0, 0]])


@pytest.mark.parametrize("axis", [1, 2])
def test_softmax_has_the_same_bits_whatever_the_memory_order(axis: int) -> None:
    logits = np.random.default_rng(0).normal(size=(6, 41, 43)).astype(np.float32)
    step = Softmax(source="x", result="p", axis=axis)
    found = one(step, np.asfortranarray(logits))
    assert found.tobytes() == one(step, logits).tobytes()
    rows = [one(step, np.asfortranarray(logits[row : row + 1])) for row in range(6)]
    assert found.tobytes() == b"".join(row.tobytes() for row in rows)


def test_argmax_takes_the_first_of_ties() -> None:
    found = one(Argmax(source="x", result="c"), np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 0.0]]))
    np.testing.assert_array_equal(found, [1, 0])


def test_label_names_each_class() -> None:
    found = one(Label(source="c", result="l", classes=("cat", "heron")), np.array([1, 0, 1]))
    assert found.tolist() == ["heron", "cat", "heron"]


@pytest.mark.parametrize("index", [-1, 2])
def test_label_refuses_an_index_without_a_class(index: int) -> None:
    step = Label(source="c", result="l", classes=("cat", "heron"))
    with pytest.raises(TensorMismatchError, match=f"'c' holds class {index}"):
        one(step, np.array([0, index]))


@given(rows=st.integers(1, 6), order=st.sampled_from("CF"))
def test_batch_of_n_has_the_bits_of_n_batches_of_one(rows: int, order: Literal["C", "F"]) -> None:
    batch = np.asarray(images(rows, 7, 5, 3), order=order)
    together = run(IMAGE_PIPELINE, {"image": batch})
    for row in range(rows):
        alone = run(IMAGE_PIPELINE, {"image": batch[row : row + 1]})
        for name, array in alone.items():
            assert array.tobytes() == together[name][row : row + 1].tobytes(), name


@pytest.mark.parametrize("rows", [0, 1, 4])
def test_specs_claim_what_run_makes(rows: int) -> None:
    image = TensorSpec(name="image", dtype="uint8", shape=("batch", 7, 5, 3))
    specs = infer_specs(IMAGE_PIPELINE, [image])
    tensors = run(IMAGE_PIPELINE, {"image": images(rows, 7, 5, 3)})
    assert [spec.name for spec in specs] == list(tensors)
    for spec in specs:
        array = tensors[spec.name]
        assert ("str" if array.dtype.kind == "U" else array.dtype.name) == spec.dtype
        assert array.shape == (rows, *spec.shape[1:])
        assert spec.shape[0] == "batch"


def test_run_writes_to_nothing_it_was_given() -> None:
    batch = np.ones((2, 4, 4, 3), dtype=np.float32)
    batch.flags.writeable = False
    tensors = {"image": batch}
    run(IMAGE_PIPELINE, tensors)
    assert tensors.keys() == {"image"}
    assert (batch == 1).all()


def test_nan_and_infinity_pass_without_a_warning() -> None:
    wild = np.array([[np.nan, np.inf, -np.inf, 1e300]])
    steps: tuple[AnyStep, ...] = (
        Scale(source="x", result="y", factor=2.0),
        Softmax(source="y", result="z"),
        Cast(source="z", result="c", dtype="uint8"),
    )
    assert run(steps, {"x": wild})["z"].shape == (1, 4)


IMAGE = TensorSpec(name="image", dtype="uint8", shape=("batch", 8, "width", 3))
TEXT = TensorSpec(name="text", dtype="str", shape=("batch",))
BAD_STEPS: list[tuple[AnyStep, str]] = [
    (Scale(source="sound", result="x", factor=1.0), "no tensor 'sound'"),
    (Scale(source="text", result="x", factor=1.0), "'text' is str, not a number"),
    (Resize(source="text", result="x", height=1, width=1), "not a number"),
    (Resize(source="image", result="x", height=0, width=1), "0 by 1"),
    (Normalize(source="image", result="x", mean=(1, 2), std=(1, 1)), "2 means"),
    (Normalize(source="image", result="x", mean=(1, 2, 3), std=(1, 1)), "2 deviations"),
    (Normalize(source="image", result="x", mean=(1, 2, 3), std=(1, 0, 1)), "not positive"),
    (Normalize(source="image", result="x", mean=(1,), std=(1,), axis=2), "is width"),
    (Normalize(source="image", result="x", mean=(1,), std=(1,), axis=0), "is the batch"),
    (Normalize(source="image", result="x", mean=(1,), std=(1,), axis=4), "none of them 4"),
    (Layout(source="image", result="x", origin="NHW", to="NHW"), "names 3 dimensions"),
    (Layout(source="image", result="x", origin="NHWH", to="NHW"), "used twice"),
    (Layout(source="image", result="x", origin="NHWC", to="NCH"), "leaves out"),
    (Layout(source="image", result="x", origin="NHWC", to="HNWC"), "moves the batch"),
    (Layout(source="image", result="x", origin="NHWC", to="BNHWC"), "moves the batch"),
    (Cast(source="image", result="x", dtype="object"), "'object' is not a dtype"),
    (Cast(source="image", result="x", dtype="float128"), "'float128' is not a dtype"),
    (Softmax(source="image", result="x", axis=-4), "is the batch"),
    (Argmax(source="flat", result="x"), "is the batch"),
    (Label(source="flat", result="x", classes=("a",)), "not an index"),
    (Label(source="image", result="x", classes=()), "no classes"),
]


@pytest.mark.parametrize(("step", "reason"), BAD_STEPS)
def test_specs_refuse_a_step_that_cannot_be_applied(step: AnyStep, reason: str) -> None:
    flat = TensorSpec(name="flat", dtype="float32", shape=("batch",))
    fine = Cast(source="image", result="other", dtype="float64")
    with pytest.raises(ConfigurationError, match=reason) as caught:
        infer_specs([fine, step], [IMAGE, TEXT, flat])
    assert str(caught.value).startswith("step 1 (")


def test_resize_is_refused_for_a_tensor_that_is_no_image() -> None:
    table = TensorSpec(name="table", dtype="float32", shape=("batch", 9))
    with pytest.raises(ConfigurationError, match=r"step 0 .* 2 dimensions"):
        infer_specs([Resize(source="table", result="x", height=2, width=2)], [table])


@given(hnp.arrays(np.float32, (3, 5), elements=st.floats(width=32)))
def test_sigmoid_agrees_with_float64_and_never_overflows(logits: Array) -> None:
    with np.errstate(over="ignore"):
        expected = 1 / (1 + np.exp(-logits.astype(np.float64)))
    found = one(Sigmoid(source="x", result="p"), logits)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-38)


@given(hnp.arrays(np.float32, (3, 5), elements=st.sampled_from([0.0, 1.0, -1.0, np.nan])))
def test_top_gives_the_largest_first_and_the_first_of_ties(values: Array) -> None:
    made = run([Top(source="x", result="v", count=3, indices="i")], {"x": values})
    for row, found in zip(values, made["i"], strict=True):
        order = sorted(range(5), key=lambda i: (np.isnan(row[i]), -np.nan_to_num(row[i]), i))
        assert found.tolist() == order[:3]
    np.testing.assert_array_equal(made["v"], np.take_along_axis(values, made["i"], axis=-1))


def test_thresholds_may_differ_by_class_and_are_reached_by_no_nan() -> None:
    step = Threshold(source="x", result="y", least=(0.5, 0.9))
    found = one(step, np.array([[0.5, 0.9], [0.49, 0.89], [np.nan, 1.0]], np.float32))
    np.testing.assert_array_equal(found, [[True, True], [False, False], [False, True]])


def test_argmax_of_a_map_is_the_class_of_each_pixel() -> None:
    scores = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    found = one(Argmax(source="x", result="c", axis=1), scores)
    np.testing.assert_array_equal(found, torch.from_numpy(scores).argmax(dim=1).numpy())


def test_slice_takes_entries_along_its_axis() -> None:
    batch = images(2, 6, 3)
    np.testing.assert_array_equal(
        one(Slice(source="x", result="y", start=2, stop=4, axis=1), batch), batch[:, 2:4]
    )


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (Top(source="x", result="v", count=6, indices="i"), "6 largest of 5"),
        (Threshold(source="x", result="y", least=(0.5, 0.9)), "2 thresholds"),
        (Slice(source="x", result="y", start=3, stop=6), "no 3 to 6"),
        (Argmax(source="x", result="c", axis=0), "is the batch"),
    ],
)
def test_step_that_does_not_fit_its_tensor_is_refused(step: AnyStep, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        infer_specs([step], [TensorSpec(name="x", dtype="float32", shape=("batch", 5))])
