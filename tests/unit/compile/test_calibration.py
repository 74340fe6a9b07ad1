# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import numpy as np
import pytest

from insight_edge.compile.job import BuildJob
from insight_edge.compile.quantize.calibration import (
    Calibration,
    calibration_feeds,
    write_calibration,
)
from insight_edge.compile.sources.source import SourceModel, describe, source_from_onnx
from insight_edge.documents.manifest import ModelInfo
from insight_edge.documents.source import SourceDescription
from insight_edge.documents.steps import Scale
from insight_edge.documents.target import Target
from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import BuildFailedError, TensorMismatchError
from tests.fakes.onnx_models import Shape, relu_model

ROWS = np.arange(20, dtype=np.float32).reshape(5, 4)


def source_of(shape: Shape = ("batch", 4)) -> SourceModel:
    data = relu_model(shape).SerializeToString()
    return source_from_onnx(data, name="m", importer="onnx")


def job_of(source: SourceModel, calibration: Calibration | None, directory: Path) -> BuildJob:
    (directory / "m.onnx").write_bytes(source.data)
    return BuildJob(
        plugin="none:None",
        target=Target(backend="fake", precision="int8"),
        model=str(directory / "m.onnx"),
        model_digest=source.digest,
        arch="x86_64",
        calibration=str(calibration.path) if calibration else None,
    )


def feeds(source: SourceModel, rows: np.ndarray, directory: Path) -> list[np.ndarray]:
    calibration = write_calibration(source, {"x": rows}, directory)
    return [fed["x"] for fed in calibration_feeds(job_of(source, calibration, directory))]


def test_rows_are_fed_one_at_a_time_in_order(tmp_path: Path) -> None:
    fed = feeds(source_of(), ROWS, tmp_path)
    assert [f.shape for f in fed] == [(1, 4)] * 5
    np.testing.assert_array_equal(np.concatenate(fed), ROWS)


def test_rows_fill_a_fixed_batch_and_the_rest_is_left_out(tmp_path: Path) -> None:
    fed = feeds(source_of((2, 4)), ROWS, tmp_path)
    assert [f.shape for f in fed] == [(2, 4)] * 2
    np.testing.assert_array_equal(np.concatenate(fed), ROWS[:4])


def test_too_few_rows_for_a_fixed_batch_fail(tmp_path: Path) -> None:
    with pytest.raises(BuildFailedError, match="5 rows to calibrate with, the model takes 8"):
        feeds(source_of((8, 4)), ROWS, tmp_path)


def test_job_without_rows_fails(tmp_path: Path) -> None:
    with pytest.raises(BuildFailedError, match="needs rows"):
        calibration_feeds(job_of(source_of(), None, tmp_path))


def test_rows_go_through_pre(tmp_path: Path) -> None:
    source = source_of()
    specs = source.workload.inputs
    description = SourceDescription(
        model=ModelInfo(name="m", digest=source.digest),
        inputs=(TensorSpec(name="raw", dtype="uint8", shape=("batch", 4)),),
        outputs=source.workload.outputs,
        pre=(Scale(source="raw", result="x", factor=0.5),),
    )
    assert specs[0].name == "x"
    described = describe(source, description)
    raw = ROWS.astype(np.uint8)
    calibration = write_calibration(described, {"raw": raw}, tmp_path)
    fed = list(calibration_feeds(job_of(described, calibration, tmp_path)))
    assert [sorted(f) for f in fed] == [["x"]] * 5
    np.testing.assert_array_equal(np.concatenate([f["x"] for f in fed]), ROWS * np.float32(0.5))


def test_equal_rows_have_equal_digests_and_others_do_not(tmp_path: Path) -> None:
    first = write_calibration(source_of(), {"x": ROWS}, tmp_path)
    again = write_calibration(source_of(), {"x": ROWS.copy()}, tmp_path)
    other = write_calibration(source_of(), {"x": ROWS[::-1]}, tmp_path)
    assert first == again
    assert first.digest != other.digest
    assert first.path.is_absolute()


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ({"z": ROWS}, "give no model input 'x'"),
        ({"x": ROWS.astype(np.float64)}, "give float64 .* expected float32"),
        ({"x": ROWS[:, :3]}, r"give float32 \[5, 3\]"),
        ({"x": ROWS[:, :, None]}, r"give float32 \[5, 4, 1\]"),
    ],
)
def test_rows_that_do_not_fit_are_refused(
    rows: dict[str, np.ndarray], expected: str, tmp_path: Path
) -> None:
    with pytest.raises(TensorMismatchError, match=expected):
        write_calibration(source_of(), rows, tmp_path)
