# SPDX-License-Identifier: Apache-2.0
"""A cut model computes what the whole one had computed by then, on every path."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, helper

from insight_edge.compile.graph.cut import cut_model, cuts_of, inputs_of, pinned
from insight_edge.compile.layers.source_tensors import source_order, source_tensors
from tests.fakes.branching_models import branching_model
from tests.fakes.onnx_models import conv_model, model_of, value, weights_of

Arrays = dict[str, NDArray[Any]]


def rows(model: ModelProto) -> Arrays:
    random = np.random.default_rng(3)
    sizes = {
        one.name: [dim.dim_value or 2 for dim in one.type.tensor_type.shape.dim]
        for one in model.graph.input
    }
    return {name: random.normal(size=shape).astype(np.float32) for name, shape in sizes.items()}


def values_of(model: ModelProto, fed: Arrays) -> Arrays:
    return source_tensors(model, source_order(model), fed)


@pytest.mark.parametrize("make", [conv_model, branching_model])
def test_every_part_answers_what_the_whole_has_there(make: Callable[[], ModelProto]) -> None:
    model = make()
    fed = rows(model)
    values = values_of(model, fed)
    cuts = cuts_of(model, values)
    assert cuts[-1].tensors == tuple(one.name for one in model.graph.output)
    for cut in cuts:
        part = cut_model(model, cut.tensors, values)
        onnx.checker.check_model(part, full_check=True)
        taken = {one.name: fed[one.name] for one in part.graph.input}
        session = onnxruntime.InferenceSession(part.SerializeToString())
        answers = dict(zip(cut.tensors, session.run(None, taken), strict=True))
        for name, answer in answers.items():
            np.testing.assert_allclose(answer, values[name], atol=1e-5)


def test_a_cut_ends_in_what_any_path_still_needs() -> None:
    model = branching_model()
    cuts = {cut.place: cut.tensors for cut in cuts_of(model, values_of(model, rows(model)))}
    by_name = {model.graph.node[place].output[0]: tensors for place, tensors in cuts.items()}
    assert by_name["stem"] == ("stem",)
    assert by_name["left"] == ("stem", "left")
    assert by_name["right"] == ("left", "right")
    assert by_name["sum"] == ("sum",)
    assert by_name["small"] == ("small", "tail")


def test_part_keeps_only_the_inputs_and_weights_that_it_reads() -> None:
    model = branching_model()
    values = values_of(model, rows(model))
    part = cut_model(model, ["left"], values)
    assert [one.name for one in part.graph.input] == ["x"]
    assert {one.name for one in part.graph.initializer} == {"ws", "wl"}


def test_inputs_of_a_layer_are_those_that_can_be_compared() -> None:
    model = branching_model()
    found = inputs_of(model, values_of(model, rows(model)))
    assert found["stem"] == ()  # an input of the model, which agrees by definition
    assert set(found["sum"]) == {"left", "right"}


def test_pinned_model_takes_the_rows_at_hand_and_knows_all_sizes() -> None:
    model = branching_model()
    fed = rows(model)
    values = values_of(model, fed)
    part = cut_model(pinned(model, fed), ["sum"], values)
    sizes = [
        [dim.dim_value for dim in one.type.tensor_type.shape.dim]
        for one in (*part.graph.input, *part.graph.output)
    ]
    assert sizes == [[2, 6], [2, 5]]
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"


def test_what_depends_on_no_input_or_is_no_number_is_no_place_to_cut() -> None:
    model = model_of(
        [
            helper.make_node("Transpose", ["w"], ["constant"], perm=[1, 0]),
            helper.make_node("MatMul", ["x", "constant"], ["product"]),
            helper.make_node("ArgMax", ["product"], ["label"], axis=1),
        ],
        [value("x", ("batch", 4))],
        [value("label", ("batch", 1), kind=7)],
        weights_of(0, w=(3, 4)),
    )
    values = values_of(model, rows(model))
    assert [cut.tensors for cut in cuts_of(model, values)] == [("product",)]


def test_what_a_branch_of_an_if_reads_is_needed_until_then() -> None:
    inner = helper.make_graph(
        [helper.make_node("Add", ["early", "late"], ["both"])], "then", [], [value("both", None)]
    )
    other = helper.make_graph(
        [helper.make_node("Identity", ["late"], ["one"])], "else", [], [value("one", None)]
    )
    model = model_of(
        [
            helper.make_node("Relu", ["x"], ["early"]),
            helper.make_node("Neg", ["x"], ["late"]),
            helper.make_node("ReduceSum", ["x"], ["total"], keepdims=0),
            helper.make_node("Greater", ["total", "zero"], ["is"]),
            helper.make_node("If", ["is"], ["y"], then_branch=inner, else_branch=other),
        ],
        [value("x", ("batch", 4))],
        [value("y", ("batch", 4))],
        {"zero": np.zeros((), np.float32)},
    )
    cuts = cuts_of(model, values_of(model, rows(model)))
    assert ("early", "late", "total") in [cut.tensors for cut in cuts]
