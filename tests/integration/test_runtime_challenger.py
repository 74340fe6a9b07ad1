# SPDX-License-Identifier: Apache-2.0
"""A challenger that is wrong on purpose for some rows, both bundles real ONNX."""

import re
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from insight_edge.documents.report import Report
from insight_edge.runtime.infer import Runtime
from tests.fakes.matrix import CLASSES, COLUMNS, random_matrix, write_matrix_bundle

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "challengers.md"
CALLS, ROWS = 4, 64
PLANTED = 37

SIGN = 6.0
"""Of rows to get wrong: golden rows are standard normal and never have so much in column 0."""

Matrix = NDArray[np.float32]


def onnx_bytes(matrix: Matrix, *, is_wrong: bool) -> bytes:
    """Return `x @ matrix`, turned round where the sign is given if that is wanted."""
    helper = pytest.importorskip("onnx.helper")
    numpy_helper = pytest.importorskip("onnx.numpy_helper")
    pytest.importorskip("onnxruntime")
    nodes = [helper.make_node("MatMul", ["x", "w"], ["straight" if is_wrong else "y"])]
    if is_wrong:
        nodes += [
            helper.make_node("Gather", ["x", "first"], ["sign"], axis=1),
            helper.make_node("Greater", ["sign", "limit"], ["given"]),
            helper.make_node("Neg", ["straight"], ["round"]),
            helper.make_node("Where", ["given", "round", "straight"], ["y"]),
        ]
    constants = {
        "w": matrix,
        "first": np.array([0], np.int64),
        "limit": np.array([SIGN - 0.5], np.float32),
    }
    graph = helper.make_graph(
        nodes,
        "matrix",
        [helper.make_tensor_value_info("x", 1, ["batch", COLUMNS])],
        [helper.make_tensor_value_info("y", 1, ["batch", CLASSES])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 18)]
    encoded: bytes = helper.make_model(
        graph, opset_imports=opsets, ir_version=10
    ).SerializeToString()
    return encoded


def test_disagreement_that_is_reported_is_the_one_that_was_planted(tmp_path: Path) -> None:
    matrix = random_matrix(0)
    digests = [
        write_matrix_bundle(
            tmp_path / name,
            matrix,
            backend="onnxruntime",
            artifact=onnx_bytes(matrix, is_wrong=name == "challenger"),
        )
        for name in ("serving", "challenger")
    ]
    draw = np.random.default_rng(7)
    rows = draw.normal(size=(CALLS * ROWS, COLUMNS)).astype(np.float32)
    rows[draw.permutation(len(rows))[:PLANTED], 0] = SIGN
    with Runtime.open(
        tmp_path / "serving", allow_unsigned=True, threads=1, state_dir=tmp_path / "state"
    ) as runtime:
        runtime.challenge(tmp_path / "challenger", cpu_share=1.0)
        for x in np.split(rows, CALLS):  # as many as the ring has places
            result = runtime.infer({"x": x})
            np.testing.assert_allclose(result.outputs["y"], x @ matrix, rtol=1e-4, atol=1e-5)
            assert (result.bundle, result.role) == (digests[0], "serve")
        reports: list[Report] = []
        deadline_s = time.monotonic() + 30
        while _compared(reports) < CALLS and time.monotonic() < deadline_s:
            reports += iter(runtime.take_report, None)
    found = [report.challenge for report in reports if report.challenge is not None]
    parts = [part for one in found for part in one.disagreements]
    assert {part.against for part in parts} == {digests[0]}
    assert {r.bundle for r in reports if r.role == "challenger"} == {digests[1]}
    assert sum(part.rows for part in parts) == len(rows)
    assert sum(part.differing for part in parts) == PLANTED
    assert sum(part.odd for part in parts) == 0
    cpu_ns, spent_ns = (sum(getattr(c, n) for c in found) for n in ("cpu_ns", "spent_ns"))
    assert 0 < cpu_ns <= spent_ns * 1.001, "the clock may be slewed meanwhile"


def test_guide_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, seed in (("serving", 0), ("candidate", 1)):
        matrix = random_matrix(seed)
        artifact = onnx_bytes(matrix, is_wrong=False)
        write_matrix_bundle(
            tmp_path / f"{name}.bundle", matrix, backend="onnxruntime", artifact=artifact
        )
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL):
        exec(block, names)  # noqa: S102 - our own page
    said = capsys.readouterr().out
    assert "of 1 calls repeated" in said
    assert "a share of 2 of a processor" in said


def _compared(reports: list[Report]) -> int:
    return sum(one.challenge.compared for one in reports if one.challenge is not None)
