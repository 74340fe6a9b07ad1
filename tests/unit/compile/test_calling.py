# SPDX-License-Identifier: Apache-2.0
"""A model that takes no rows is read as one that takes calls, and only if it answers the same."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from insight_edge.compile.graph.calls import called
from insight_edge.compile.graph.reference import answers
from insight_edge.compile.graph.workload import workload_from_onnx
from insight_edge.compile.reading import read_source
from insight_edge.compile.sources.calling import refuse_other_answers
from insight_edge.errors import ModelError
from tests.fakes.onnx_models import model_of, relu_model, value
from tests.fakes.stateful_models import UNITS, calls, listening_model


@pytest.mark.parametrize("branches", [True, False])
def test_source_is_proven_equal_and_says_why(tmp_path: Path, branches: bool) -> None:
    model = listening_model(branches=branches)
    onnx.save(model, tmp_path / "m.onnx")
    source = read_source(tmp_path / "m.onnx")
    assert source.workload.called == "input 'sr' is a single number"
    assert source.name == "m"
    assert [spec.shape for spec in source.workload.inputs] == [(1, 1, 64), (1, 2, 1, 16), (1,)]
    assert read_source(tmp_path / "m.onnx").data == source.data
    rows = calls(3)
    for place in range(3):
        one = {name: array[place : place + 1] for name, array in rows.items()}
        found = answers(source.data, one)
        call = {name: np.asarray(array[0]) for name, array in one.items()}
        for name, wanted in answers(model.SerializeToString(), call).items():
            np.testing.assert_array_equal(found[name][0], wanted)


def test_model_that_takes_rows_is_left_to_the_byte(tmp_path: Path) -> None:
    data = relu_model().SerializeToString()
    (tmp_path / "m.onnx").write_bytes(data)
    source = read_source(tmp_path / "m.onnx")
    assert (source.data, source.workload.called) == (data, "")


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    """A gather of the place that a number names, far beyond what random ones say."""
    nodes = [
        helper.make_node("Sub", ["at", "far"], ["place"]),
        helper.make_node("Gather", ["x", "place"], ["y"]),
    ]
    inputs = [value("x", (4,)), value("at", (), TensorProto.INT64)]
    weights = {"far": np.array(1000, np.int64)}
    onnx.save(model_of(nodes, inputs, [value("y", ())], weights), tmp_path / "m.onnx")
    with pytest.raises(ModelError, match="asked call by call, it does not run on random") as caught:
        read_source(tmp_path / "m.onnx")
    assert caught.value.hint is not None


def test_other_answers_are_refused() -> None:
    """One that is called as it should be, and has another weight."""
    model, other = listening_model(), listening_model()
    (out,) = (one for one in other.graph.initializer if one.name == "out")
    out.CopyFrom(onnx.numpy_helper.from_array(np.ones((UNITS, 1), np.float32), "out"))
    made, wrong = called(model), called(other)
    workload = workload_from_onnx(made, "")
    refuse_other_answers(model, made.SerializeToString(), workload)
    with pytest.raises(ModelError, match="differs from the original, call by call"):
        refuse_other_answers(model, wrong.SerializeToString(), workload)
