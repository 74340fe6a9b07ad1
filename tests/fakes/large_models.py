# SPDX-License-Identifier: Apache-2.0
"""Models as large as protobuf reads, which take no place on the disk."""

from pathlib import Path

from onnx import TensorProto, helper

from tests.fakes.onnx_models import model_of, value

LARGE_BYTES = 19 * 10**8
"""Near the most that protobuf reads."""


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
