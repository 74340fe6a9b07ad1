# SPDX-License-Identifier: Apache-2.0
"""INT8 of OpenVINO by NNCF, on rows that are not all alike."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import helper

from insight_edge.compile.building.build import build
from insight_edge.compile.building.outcome import Built
from insight_edge.compile.building.preparation import prepare_job
from insight_edge.compile.quantize.calibration import write_calibration
from insight_edge.compile.sources.source import source_from_onnx
from insight_edge.documents.target import target_from_token
from tests.fakes.hardware import profile_of
from tests.fakes.onnx_models import conv_model, model_of, value, weights_of

openvino = pytest.importorskip("openvino")

pytestmark = pytest.mark.slow

VNNI = ("avx2", "avx512f", "avx512_vnni")


def built(data: bytes, rows: NDArray[np.float32], place: Path) -> Built:
    source = source_from_onnx(data, name="m", importer="onnx")
    calibration = write_calibration(source, {"x": rows}, place)
    target = target_from_token("openvino:int8")
    job = prepare_job(source, target, profile_of(isa=VNNI), place, calibration=calibration)
    outcome = build(job, place / "b")
    assert isinstance(outcome, Built), outcome
    return outcome


def test_rows_that_excite_the_network_most_are_not_cut_off(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    loudness = random.lognormal(sigma=1.0, size=(48, 1, 1, 1))
    rows = (random.random((48, 3, 16, 16)) * loudness).astype(np.float32)
    data = conv_model().SerializeToString()
    outcome = built(data, rows, tmp_path)
    core = openvino.Core()
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    (tmp_path / "m.onnx").write_bytes(data)
    models = (tmp_path / "m.onnx", outcome.directory / outcome.artifact.entry)
    wanted, found = (core.compile_model(model, "CPU", exact)({"x": rows})[0] for model in models)
    loudest = int(np.argmax(loudness))
    error = np.linalg.norm(found[loudest] - wanted[loudest]) / np.linalg.norm(wanted[loudest])
    assert error < 0.05
    assert "extremes: " in outcome.log


@pytest.mark.parametrize(("op", "presets"), [("Relu", 1), ("LeakyRelu", 2)])
def test_slower_preset_is_tried_only_where_it_differs(
    op: str, presets: int, tmp_path: Path
) -> None:
    weights = weights_of(3, w1=(8, 3, 3, 3), w2=(8, 8, 3, 3))
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["c"]),
        helper.make_node(op, ["c"], ["r"]),
        helper.make_node("Conv", ["r", "w2"], ["y"]),
    ]
    faces = [value("x", ("batch", 3, 16, 16))], [value("y", ("batch", 8, 12, 12))]
    model = model_of(nodes, *faces, weights)
    rows = np.random.default_rng(1).random((16, 3, 16, 16)).astype(np.float32)
    outcome = built(model.SerializeToString(), rows, tmp_path)
    assert len({line.split()[1] for line in outcome.log.splitlines() if " dB" in line}) == presets
