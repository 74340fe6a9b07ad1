# SPDX-License-Identifier: Apache-2.0
"""A model near protobuf's limit is read in a few times its size, or refused in one line."""

from pathlib import Path

import pytest
from onnx import TensorProto, helper

from insight_edge.compile.importers.onnx import OnnxImporter
from insight_edge.compile.importing import ImportLimits
from insight_edge.errors import ModelError
from tests.fakes.onnx_models import model_of, value

pytestmark = pytest.mark.slow

GIB = 2**30
LARGE_BYTES = 19 * 10**8


def varint(number: int) -> bytes:
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


def field(tag: bytes, length_bytes: int) -> bytes:
    """Return what stands before a protobuf field of so many bytes."""
    return tag + varint(length_bytes)


def sparse_model(path: Path, weight_bytes: int) -> None:
    """Write a model with one weight of zeros, which take no place on the disk.

    The fields that hold the weight are written by hand, the zeros last of all in each.
    """
    rows = weight_bytes // 4 // 1024
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    model = model_of([node], [value("x", (1, rows))], [value("y", (1, 1024))])
    graph = model.graph.SerializeToString()
    model.ClearField("graph")
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[rows, 1024])
    length_bytes = rows * 4096
    weight = tensor.SerializeToString() + field(b"\x4a", length_bytes)  # raw_data
    graph += field(b"\x2a", len(weight) + length_bytes) + weight  # initializer
    head = model.SerializeToString() + field(b"\x3a", len(graph) + length_bytes) + graph
    with path.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + length_bytes)


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
