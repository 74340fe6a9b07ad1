# SPDX-License-Identifier: Apache-2.0
"""What is asked of every artifact: rows nobody calibrated with, and golden rows among them."""

from dataclasses import replace
from typing import Any, Literal

import msgspec
import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from insight_edge.compile.rows.random_rows import FREE_SIZES
from insight_edge.compile.sources.source import SourceModel, describe
from insight_edge.compile.trials.question import GOLDEN_ROWS, Question, ask
from insight_edge.documents.manifest import ModelInfo
from insight_edge.documents.source import SourceDescription
from insight_edge.documents.statistics import grid_from_document, summary_from_document
from insight_edge.documents.steps import Feature, Observe, Scale, Softmax
from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import ModelError
from insight_edge.stats.tally import Tally
from insight_edge.transforms.features import extract
from insight_edge.transforms.reference import reference_from_tensors
from tests.fakes.onnx_models import conv_model, model_of, value, weights_of
from tests.fakes.sources import samples_of, source_of, table_model, table_rows


def rows_of(array: NDArray[Any]) -> set[bytes]:
    return {row.tobytes() for row in array}


def logits_of(source: SourceModel, rows: NDArray[Any]) -> NDArray[Any]:
    session = onnxruntime.InferenceSession(source.data, providers=["CPUExecutionProvider"])
    [logits] = session.run(["logits"], {"x": rows})
    found: NDArray[Any] = logits
    return found


def test_rows_to_prove_on_are_all_those_that_did_not_calibrate() -> None:
    rows = table_rows(100)
    samples = samples_of(rows, calibrating=30)
    question = ask(source_of(table_model()), samples)
    assert question.count == 70
    assert np.array_equal(question.rows["x"], rows[30:])
    assert question.labels is not None
    assert np.array_equal(question.labels, np.arange(30, 100) % 3)
    assert not rows_of(question.rows["x"]) & rows_of(samples.calibration()["x"])


def test_answers_are_the_source_models_own() -> None:
    source = source_of(table_model())
    question = ask(source, samples_of(table_rows(200)))
    for rows, answers in (
        (question.rows, question.answers),
        (question.golden_rows, question.golden_answers),
    ):
        assert np.allclose(answers["logits"], logits_of(source, rows["x"]), atol=1e-6)


@pytest.mark.parametrize("count", [1, GOLDEN_ROWS - 1, GOLDEN_ROWS, 100, 1000])
def test_golden_rows_are_some_of_the_rows_proven_on(count: int) -> None:
    question = ask(source_of(table_model()), samples_of(table_rows(count)))
    golden = question.golden_rows["x"]
    assert question.golden_source == "data"
    assert len(rows_of(golden)) == len(golden) == min(count, GOLDEN_ROWS)
    assert rows_of(golden) <= rows_of(question.rows["x"])


@pytest.mark.parametrize(
    "samples", [None, samples_of(table_rows(0)), samples_of(table_rows(9), calibrating=9)]
)
def test_without_rows_to_prove_on_golden_rows_are_random_and_say_so(samples: Any) -> None:
    source = source_of(table_model())
    question = ask(source, samples)
    assert (question.count, question.golden_source, question.reference) == (0, "random", None)
    assert question.rows == {}
    golden = question.golden_rows["x"]
    assert (golden.shape, golden.dtype.name) == ((GOLDEN_ROWS, 4), "float32")
    assert np.array_equal(golden, ask(source, None).golden_rows["x"])


@pytest.mark.parametrize("count", [1, GOLDEN_ROWS, 100])
def test_examples_of_the_file_are_golden_first_where_nobody_gave_rows(count: int) -> None:
    rows = {"x": table_rows(count)}
    source = replace(source_of(table_model()), examples=rows)
    question = ask(source, None)
    assert (question.count, question.golden_source) == (0, "example")
    golden, kept = question.golden_rows["x"], min(count, GOLDEN_ROWS)
    np.testing.assert_array_equal(golden[:kept], rows["x"][:kept])
    assert len(rows_of(golden)) == len(golden) == GOLDEN_ROWS
    assert ask(source, samples_of(table_rows(100))).golden_source == "data"


def test_examples_of_one_number_alone_are_not_golden() -> None:
    zeros = {"x": np.zeros((2, 4), np.float32)}
    question = ask(replace(source_of(table_model()), examples=zeros), None)
    assert question.golden_source == "random"


def test_random_rows_have_the_right_dtype_and_stay_within_any_vocabulary() -> None:
    model = model_of(
        [
            helper.make_node("Cast", ["ids"], ["f"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["f", "x"], ["y"]),
        ],
        [value("ids", ("batch", 7), TensorProto.INT64), value("x", ("batch", "length"))],
        [value("y", ("batch", "length"))],
    )
    golden = ask(source_of(model), None).golden_rows
    assert (golden["ids"].dtype.name, golden["ids"].shape) == ("int64", (GOLDEN_ROWS, 7))
    assert set(np.unique(golden["ids"])) <= {0, 1}
    assert golden["x"].shape == (GOLDEN_ROWS, 1)


@pytest.mark.parametrize("size", FREE_SIZES)
def test_free_dimension_of_random_rows_is_one_that_the_model_takes(size: int) -> None:
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    faces = [value("x", ("batch", "samples"))], [value("y", ("batch", 1))]
    golden = ask(source_of(model_of([node], *faces, weights_of(0, w=(size, 1)))), None).golden_rows
    assert golden["x"].shape == (GOLDEN_ROWS, size)


def test_output_that_is_not_of_rows_is_refused_whatever_size_would_do() -> None:
    node = helper.make_node("Transpose", ["x"], ["y"], perm=[1, 0])
    model = model_of([node], [value("x", (1, "width"))], [value("y", ("width", 1))])
    with pytest.raises(ModelError, match="output 'y' has 1024 rows for 16 rows of input"):
        ask(source_of(model), None)


def test_model_that_takes_no_random_rows_asks_for_some() -> None:
    node = helper.make_node("AveragePool", ["x"], ["y"], kernel_shape=[20000])
    faces = [value("x", ("batch", 1, "samples"))], [value("y", ("batch", 1, "left"))]
    with pytest.raises(ModelError, match="does not run") as caught:
        ask(source_of(model_of([node], *faces)), None)
    assert "--calibration" in str(caught.value.hint)


@pytest.mark.parametrize(("batch", "golden"), [(1, 16), (3, 15), (16, 16), (24, 24)])
def test_fixed_batch_is_always_full(batch: int, golden: int) -> None:
    source = source_of(table_model(batch=batch))
    question = ask(source, samples_of(table_rows(100)))
    assert question.count == 100 - 100 % batch
    assert question.labels is not None
    assert len(question.labels) == question.count
    assert len(question.golden_rows["x"]) == golden
    assert len(ask(source, None).golden_rows["x"]) == golden


def test_fewer_rows_than_a_fixed_batch_prove_nothing() -> None:
    question = ask(source_of(table_model(batch=8)), samples_of(table_rows(7)))
    assert (question.count, question.golden_source) == (0, "random")
    assert len(question.golden_rows["x"]) == GOLDEN_ROWS


def test_bare_table_gets_a_feature_for_each_column_and_a_reference() -> None:
    question = ask(source_of(table_model()), samples_of(table_rows(100), calibrating=20))
    names = [feature.name for feature in question.observe.inputs]
    assert names == ["x.0", "x.1", "x.2", "x.3"]
    assert [feature.tensor for feature in question.observe.outputs] == ["logits"] * 4
    assert question.reference is not None
    assert question.reference.rows == 80
    grid = grid_from_document(question.reference.grid)
    tally = Tally(grid)
    tally.observe(counted(question))
    recorded = summary_from_document(question.reference.summary, grid)
    assert np.array_equal(recorded.bins, tally.summary().bins)


def counted(question: Question) -> NDArray[np.float64]:
    """Return the features as a device computes them of the rows that are proven on."""
    return np.hstack(
        [
            extract(question.observe.inputs, question.rows),
            extract(question.observe.outputs, question.answers),
        ]
    )


def test_bare_image_gets_features_of_the_image_and_of_each_channel() -> None:
    question = ask(source_of(conv_model()), None)
    assert question.observe == Observe()
    images = np.random.default_rng(0).normal(size=(20, 3, 16, 16)).astype(np.float32)
    question = ask(source_of(conv_model()), samples_of(images))
    names = [feature.name for feature in question.observe.inputs]
    assert names[:2] == ["x.mean", "x.std"]
    assert names[-2:] == ["x.mean.2", "x.std.2"]
    assert question.reference is not None


def test_default_features_of_inputs_end_at_64() -> None:
    model = model_of(
        [helper.make_node("Concat", ["x", "z"], ["y"], axis=1)],
        [value("x", ("batch", 40)), value("z", ("batch", 40))],
        [value("y", ("batch", 80))],
    )
    rows = table_rows(10, 40)
    samples = replace(samples_of(rows), inputs={"x": rows, "z": rows})
    observe = ask(source_of(model), samples).observe
    assert len(observe.inputs) == 64
    assert [feature.name for feature in observe.inputs[39:41]] == ["x.39", "z.0"]


def description_of(source: SourceModel, observe: Observe) -> SourceDescription:
    rows = table_rows(50)
    return SourceDescription(
        model=ModelInfo(name="m", digest=source.digest, task="table-classification"),
        inputs=(TensorSpec(name="x", dtype="float32", shape=("batch", 4)),),
        outputs=(TensorSpec(name="p", dtype="float32", shape=("batch", 3)),),
        pre=(Scale(source="x", result="x", factor=2.0),),
        post=(Softmax(source="logits", result="p"),),
        observe=observe,
        reference=reference_from_tensors(observe, {"x": rows}, {"p": rows[:, :3]}),
    )


def test_description_keeps_its_observe_and_reference_and_its_steps_are_run() -> None:
    bare = source_of(table_model())
    observe = Observe(
        stage="raw",
        inputs=(Feature(name="third", tensor="x", measure="value", index=2),),
        outputs=(Feature(name="sure", tensor="p", measure="confidence"),),
    )
    described = describe(bare, description_of(bare, observe))
    rows = table_rows(100)
    question = ask(described, samples_of(rows))
    assert question.observe == observe
    assert question.reference == described.described.reference
    assert np.allclose(question.answers["logits"], logits_of(bare, 2 * rows), atol=1e-6)
    assert np.array_equal(question.rows["x"], rows)


def test_description_without_a_reference_gets_one_at_its_stage() -> None:
    bare = source_of(table_model())
    rows, means = table_rows(100), {}
    stages: tuple[Literal["raw", "tensor"], ...] = ("raw", "tensor")
    for stage in stages:
        feature = Feature(name="third", tensor="x", measure="value", index=2)
        observe = Observe(stage=stage, inputs=(feature,))
        description = msgspec.structs.replace(description_of(bare, observe), reference=None)
        question = ask(describe(bare, description), samples_of(rows))
        assert question.observe == observe
        assert question.reference is not None
        grid = grid_from_document(question.reference.grid)
        means[stage] = summary_from_document(question.reference.summary, grid).mean()[0]
    assert means["raw"] == pytest.approx(rows[:, 2].mean(), abs=1e-3)
    assert means["tensor"] == pytest.approx(2 * rows[:, 2].mean(), abs=1e-3)


@pytest.mark.parametrize(
    ("feature", "said"),
    [
        (Feature(name="f", tensor="nowhere", measure="mean"), "no tensor 'nowhere'"),
        (Feature(name="f", tensor="x", measure="value", index=4), "no element 4"),
        (Feature(name="f", tensor="x", measure="value"), "needs an index"),
    ],
)
def test_description_that_observes_what_cannot_be_computed_is_refused(
    feature: Feature, said: str
) -> None:
    bare = source_of(table_model())
    source = describe(bare, description_of(bare, Observe()))
    described = replace(source, description=observing(source, Observe(inputs=(feature,))))
    with pytest.raises(ModelError, match=said):
        ask(described, None)


def test_description_whose_reference_counts_something_else_is_refused() -> None:
    bare = source_of(table_model())
    feature = Feature(name="f", tensor="x", measure="mean")
    source = describe(bare, description_of(bare, Observe(inputs=(feature,))))
    other = Observe(inputs=(Feature(name="g", tensor="x", measure="mean"),))
    with pytest.raises(ModelError, match="counts other features"):
        ask(replace(source, description=observing(source, other)), None)


def observing(source: SourceModel, observe: Observe) -> SourceDescription:
    return msgspec.structs.replace(source.described, observe=observe)


def test_model_that_does_not_answer_row_by_row_is_refused() -> None:
    model = model_of(
        [helper.make_node("ReduceMean", ["x"], ["y"], keepdims=0)],
        [value("x", ("batch", 4))],
        [value("y", ())],
    )
    with pytest.raises(ModelError, match="output 'y' has 0 rows for 16 rows of input"):
        ask(source_of(model), None)


def test_model_that_fails_on_the_rows_is_refused_in_one_line() -> None:
    model = model_of(
        [
            helper.make_node("Cast", ["x"], ["i"], to=TensorProto.INT64),
            helper.make_node("Gather", ["w", "i"], ["y"]),
        ],
        [value("x", ("batch", 1))],
        [value("y", ("batch", 1))],
        {"w": np.zeros(2, np.float32)},
    )
    rows = np.full((4, 1), 99, np.float32)
    with pytest.raises(ModelError, match="the source model does not run") as raised:
        ask(source_of(model), samples_of(rows))
    assert "\n" not in str(raised.value)
