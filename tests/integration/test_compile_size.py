# SPDX-License-Identifier: Apache-2.0
"""How large artifacts of a residual network of 20 MiB are, in every precision that saves size."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, NodeProto, helper

from insight_edge.compile.building.build import build
from insight_edge.compile.building.outcome import Built
from insight_edge.compile.building.preparation import prepare_job
from insight_edge.compile.quantize.calibration import Calibration, write_calibration
from insight_edge.compile.sources.source import SourceModel, source_from_onnx
from insight_edge.documents.target import target_from_token
from tests.fakes.hardware import profile_of
from tests.fakes.onnx_models import model_of, value, weights_of

pytestmark = pytest.mark.slow

WIDTHS = (3, 32, 64, 128, 256, 512)
MIB = 2**20


def residual_model() -> ModelProto:
    """Five stages like those of ResNet-18, each a convolution of stride 2 and a residual one."""
    nodes: list[NodeProto] = []
    shapes: dict[str, tuple[int, ...]] = {"head": (1000, WIDTHS[-1])}
    last = "x"
    for stage, (before, after) in enumerate(pairwise(WIDTHS)):
        shapes |= {f"a{stage}": (after, before, 3, 3), f"b{stage}": (after, after, 3, 3)}
        nodes += [
            helper.make_node("Conv", [last, f"a{stage}"], [f"ca{stage}"], strides=[2, 2],
                             pads=[1] * 4),
            helper.make_node("Relu", [f"ca{stage}"], [f"ra{stage}"]),
            helper.make_node("Conv", [f"ra{stage}", f"b{stage}"], [f"cb{stage}"], pads=[1] * 4),
            helper.make_node("Add", [f"ra{stage}", f"cb{stage}"], [f"s{stage}"]),
            helper.make_node("Relu", [f"s{stage}"], [f"y{stage}"]),
        ]  # fmt: skip
        last = f"y{stage}"
    nodes += [
        helper.make_node("GlobalAveragePool", [last], ["g"]),
        helper.make_node("Flatten", ["g"], ["f"]),
        helper.make_node("Gemm", ["f", "head"], ["logits"], transB=1),
    ]
    return model_of(
        nodes, [value("x", ("b", 3, 64, 64))], [value("logits", ("b", 1000))],
        weights_of(0, **shapes),
    )  # fmt: skip


@pytest.fixture(scope="module")
def source() -> SourceModel:
    return source_from_onnx(residual_model().SerializeToString(), name="r", importer="onnx")


@pytest.fixture(scope="module")
def calibration(source: SourceModel, tmp_path_factory: pytest.TempPathFactory) -> Calibration:
    rows = np.random.default_rng(0).normal(size=(8, 3, 64, 64)).astype(np.float32)
    return write_calibration(source, {"x": rows}, tmp_path_factory.mktemp("rows"))


@pytest.mark.parametrize(
    ("token", "share"),
    [
        ("onnxruntime:int8", 0.3),
        ("openvino:int8", 0.3),
        ("openvino:int8+weights", 0.3),
        ("openvino:fp16", 0.51),
    ],
)
def test_artifact_is_at_most_this_share_of_the_fp32_weights(
    source: SourceModel, calibration: Calibration, tmp_path: Path, token: str, share: float
) -> None:
    assert source.workload.parameter_bytes > 5 * MIB
    target = target_from_token(token)
    job = prepare_job(source, target, profile_of(), tmp_path, calibration=calibration)
    outcome = build(job, tmp_path / "b")
    assert isinstance(outcome, Built), outcome
    assert outcome.artifact_bytes <= share * source.workload.parameter_bytes
