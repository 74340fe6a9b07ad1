# SPDX-License-Identifier: Apache-2.0
"""Where most memory is taken, and by what."""

from insight_edge.compile.sources.source import source_from_onnx
from insight_edge.selection.liveness import peak_live
from tests.fakes.onnx_models import conv_model


def test_peak_says_its_step_and_what_is_alive() -> None:
    steps = [(frozenset("x"), frozenset("a")), (frozenset("a"), frozenset("y"))]
    found = peak_live({"x"}, {"y"}, steps, {"x": 1, "a": 5, "y": 9})
    assert (found.length_bytes, found.step, found.alive) == (14, 1, frozenset("ay"))


def test_model_that_only_holds_its_input_has_its_peak_before_the_first_step() -> None:
    found = peak_live({"x"}, {"x"}, [], {"x": 3})
    assert (found.length_bytes, found.step) == (3, -1)


def test_workload_names_the_operation_and_tensors_of_the_peak() -> None:
    workload = source_from_onnx(
        conv_model().SerializeToString(), name="m", importer="onnx"
    ).workload
    assert workload.peak_operation == "Relu_1"
    assert [tensor.name for tensor in workload.peak_tensors] == ["c1", "r1"]
    assert sum(t.length_bytes for t in workload.peak_tensors) == workload.peak_live_bytes
    assert workload.unsized == ()
