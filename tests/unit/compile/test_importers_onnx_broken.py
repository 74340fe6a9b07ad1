# SPDX-License-Identifier: Apache-2.0
"""Whatever the bytes: a source model or one line, in a child that may die of them."""

from ast import literal_eval
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from onnx import TensorProto, helper

from insight_edge.compile.importers.onnx import OnnxImporter
from insight_edge.compile.sources.importing import ImportLimits
from insight_edge.errors import ModelError
from tests.fakes.examiner import Examiner
from tests.fakes.mutations import SEEDS, broken_models
from tests.fakes.onnx_models import model_of, value

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def examiner() -> Iterator[Examiner]:
    found = Examiner()
    yield found
    found.close()


def test_models_that_are_broken_next_are_whole(examiner: Examiner) -> None:
    assert [examiner.verdict(make().SerializeToString()) for make in SEEDS] == ["model"] * 5


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(broken_models())
def test_broken_model_is_a_model_or_a_model_error(examiner: Examiner, data: bytes) -> None:
    kind, _, reason = examiner.verdict(data).partition(" ")
    # A child that dies of it, or never ends, is a model error too: `test_importing` has those.
    assert kind in {"model", "refused", "crashed", "hung"}, reason
    assert "\n" not in (literal_eval(reason) if kind == "refused" else "")


def test_graph_that_keeps_onnx_busy_for_ever_is_refused(tmp_path: Path) -> None:
    """Shape inference of onnx 1.23 takes all memory there is for this equation."""
    node = helper.make_node("Einsum", ["x", "w"], ["y"], equation="..->.")
    inputs = [value("x", ()), value("w", (8, 2), TensorProto.FLOAT)]
    model = model_of([node], inputs, [value("y", (1, 4, 8, 2))])
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    limits = ImportLimits(wall_s=5.0, memory_bytes=2**30)
    with pytest.raises(ModelError, match=r"given up|crashed"):
        OnnxImporter(limits).read(tmp_path / "m.onnx", trust_pickle=False)
