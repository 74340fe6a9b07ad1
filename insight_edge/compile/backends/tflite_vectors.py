# SPDX-License-Identifier: Apache-2.0
"""The same `.tflite` file with each vector of numbers written once.

The format spends eight bytes on the zero point of every channel of every weight
and bias, all of them 0 where weights are symmetric: a tenth of a MobileNet's INT8.
FlatBuffers lets any number of tables point at one vector. Buffers behind the tables,
where the quantiser puts large weights, are moved as they are.
"""

from typing import Any

BEHIND = 1
"""A buffer's offset above this is a place in the file; up to it, the buffer is in the tables."""

ALIGNMENT_BYTES = 16
"""Of what is behind the tables, as the quantiser aligns it."""


def shared(file: bytes) -> bytes:
    """Return the file with equal vectors of its tables stored once.

    Args:
        file: whole; one whose operators have options behind the tables is returned as it is.
    """
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.convert_bytearray_to_object(file)
    if any(one.largeCustomOptionsOffset for graph in model.subgraphs for one in graph.operators):
        return file
    moved = [buffer for buffer in model.buffers if buffer.offset > BEHIND]
    if not moved:
        return _written(model)
    first = min(buffer.offset for buffer in moved)
    start = _aligned(len(_written(model)))
    for buffer in moved:
        buffer.offset += start - first
    return _written(model).ljust(start, b"\0") + file[first:]


def _written(model: Any) -> bytes:
    import flatbuffers

    class Builder(flatbuffers.Builder):  # type: ignore[misc]
        """Remembers where each vector went."""

        def CreateNumpyVector(self, x: Any) -> int:  # noqa: N802 (the library's name)
            asked = (x.dtype.str, x.tobytes())
            if asked not in places:
                places[asked] = super().CreateNumpyVector(x)
            return places[asked]

    places: dict[tuple[str, bytes], int] = {}
    builder = Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT_BYTES) * ALIGNMENT_BYTES
