# SPDX-License-Identifier: Apache-2.0
"""A model near protobuf's limit is read in a few times its size, or refused in one line."""

from pathlib import Path

import pytest

from insight_edge.compile.importers.onnx import OnnxImporter
from insight_edge.compile.sources.importing import ImportLimits
from insight_edge.errors import ModelError
from tests.fakes.large_models import LARGE_BYTES, sparse_model

pytestmark = pytest.mark.slow

GIB = 2**30


@pytest.mark.long
def test_model_of_almost_two_gigabytes_is_read(tmp_path: Path) -> None:
    sparse_model(tmp_path / "m.onnx", LARGE_BYTES)
    limits = ImportLimits(memory_bytes=5 * GIB)
    source = OnnxImporter(limits).read(tmp_path / "m.onnx", trust_pickle=False)
    assert len(source.data) > source.workload.parameter_bytes > 0.99 * LARGE_BYTES
    assert [operation.op for operation in source.workload.operations] == ["MatMul"]


def test_model_that_needs_more_memory_than_there_may_be_is_refused(tmp_path: Path) -> None:
    sparse_model(tmp_path / "m.onnx", LARGE_BYTES // 2)
    with pytest.raises(ModelError, match=r"over the memory limit of 1\.0 GiB"):
        OnnxImporter(ImportLimits(memory_bytes=GIB)).read(tmp_path / "m.onnx", trust_pickle=False)


def test_larger_model_is_refused_unread(tmp_path: Path) -> None:
    sparse_model(tmp_path / "m.onnx", 3 * GIB)
    limits = ImportLimits(memory_bytes=GIB)
    with pytest.raises(ModelError, match="bytes, at most 2147483647 are read"):
        OnnxImporter(limits).read(tmp_path / "m.onnx", trust_pickle=False)
