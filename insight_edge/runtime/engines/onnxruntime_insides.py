# SPDX-License-Identifier: Apache-2.0
"""Inside an ONNX file, without the onnx package: a device has none.

A file is read as far as the names of its operators' outputs. To see a tensor it
becomes one more output: where a message of protobuf comes twice its fields are
merged, so a graph of nothing but outputs is appended to the file's bytes. What
is executed, where and on which types is told by ONNX Runtime's own profile.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.runtime.insides import Arrays, LayerFacts, Wanted, first_known, profiled

GRAPH, NODE, NODE_OUTPUT, OUTPUT, VALUE_NAME = 7, 1, 2, 12, 1
"""Numbers of fields in onnx.proto."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_CONVERSIONS = frozenset({"QuantizeLinear", "DequantizeLinear", "Cast"})
_KERNEL, _RUN = "_kernel_time", "model_run"


def tensors(
    model: Path, options: Any, providers: Sequence[str], inputs: Arrays, wanted: Wanted
) -> dict[str, NDArray[Any]]:
    """Return tensors of a file by the source model's names."""
    import onnxruntime

    data = model.read_bytes()
    outputs, produced = set(graph_outputs(data)), node_outputs(data)
    found = first_known(wanted, [*produced, *outputs])
    shown = with_outputs(data, sorted(set(found.values()) - outputs))
    session = onnxruntime.InferenceSession(shown, options, providers=list(providers))
    names = sorted(set(found.values()))
    answers = dict(zip(names, session.run(names, dict(inputs)), strict=True))
    return {name: answers[alias] for name, alias in found.items()}


def layers(
    model: Path, options: Any, providers: Sequence[str], inputs: Arrays
) -> tuple[LayerFacts, ...]:
    """Return what is executed of a file, as ONNX Runtime's profile of some inferences says.

    What an inference executes is told by the first one; its times are medians over the others.
    """
    import onnxruntime

    with TemporaryDirectory() as folder:
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(str(model), options, providers=list(providers))
        profiled(lambda: session.run(None, dict(inputs)))
        events = json.loads(Path(session.end_profiling()).read_text())
    first, *others = _runs(events)
    times = [[event["dur"] for event in run] for run in others if len(run) == len(first)]
    medians = np.median(times, axis=0).tolist() if times else [None] * len(first)
    return tuple(
        _facts(event["name"].removesuffix(_KERNEL), event["args"], time_us)
        for event, time_us in zip(first, medians, strict=True)
    )


def _runs(events: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Return the events of kernels by inference, the first of which is always there."""
    runs: list[list[Mapping[str, Any]]] = [[]]
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(_KERNEL):
            runs[-1].append(event)
        elif event.get("cat") == "Session" and event["name"] == _RUN:
            runs.append([])
    return runs[: max(1, len(runs) - 1)]


def node_outputs(data: bytes) -> list[str]:
    """Return the names of what the operators of a file's graph put out, in order."""
    return [
        bytes(name).decode()
        for graph in _fields(memoryview(data), GRAPH)
        for node in _fields(graph, NODE)
        for name in _fields(node, NODE_OUTPUT)
        if name
    ]


def graph_outputs(data: bytes) -> list[str]:
    """Return the names of the outputs of a file's graph."""
    return [
        bytes(name).decode()
        for graph in _fields(memoryview(data), GRAPH)
        for value in _fields(graph, OUTPUT)
        for name in _fields(value, VALUE_NAME)
    ]


def with_outputs(data: bytes, names: Sequence[str]) -> bytes:
    """Return a file's bytes with more outputs of its graph."""
    values = (_message(OUTPUT, _message(VALUE_NAME, name.encode())) for name in names)
    return data + _message(GRAPH, b"".join(values))


def _message(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | _BYTES) + _varint(len(data)) + data


def _varint(number: int) -> bytes:
    digits = bytearray()
    while number > 127:
        digits.append(number & 127 | 128)
        number >>= 7
    return bytes([*digits, number])


def _fields(data: memoryview, wanted: int) -> Iterator[memoryview]:
    """Yield the contents of one field of a message, each time it comes.

    Raises:
        ValueError: it is no message of protobuf.
    """
    place = 0
    while place < len(data):
        key, place = _read_varint(data, place)
        kind, length = key & 7, 0
        if kind == _VARINT:
            _, place = _read_varint(data, place)
        elif kind == _BYTES:
            length, place = _read_varint(data, place)
        elif kind in {_FIXED64, _FIXED32}:
            length = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"field {key >> 3} has the unknown kind {kind}")
        if length > len(data) - place:
            raise ValueError(f"field {key >> 3} ends beyond the message")
        if kind == _BYTES and key >> 3 == wanted:
            yield data[place : place + length]
        place += length


def _read_varint(data: memoryview, place: int) -> tuple[int, int]:
    number = 0
    for digit in range(10):
        if place >= len(data):
            break
        number |= (data[place] & 127) << 7 * digit
        place += 1
        if not data[place - 1] & 128:
            return number, place
    raise ValueError("a number does not end")


def _facts(name: str, told: Mapping[str, Any], time_us: float | None) -> LayerFacts:
    op = str(told.get("op_name", ""))
    return LayerFacts(
        name=name,
        op=op,
        precision=precision(op, _dtypes(told, "input"), _dtypes(told, "output")),
        placement=str(told.get("provider", "")).removesuffix("ExecutionProvider"),
        time_us=time_us,
    )


def _dtypes(told: Mapping[str, Any], side: str) -> list[str]:
    return [name for one in told.get(f"{side}_type_shape", ()) for name in one]


def precision(op: str, inputs: Sequence[str], outputs: Sequence[str]) -> str:
    """Return what an operator computes in, by the types of what it takes and gives."""
    types = [*inputs, *outputs]
    if op in _CONVERSIONS and inputs and outputs:
        return f"{_word(inputs[0])} to {_word(outputs[0])}"
    if op == "MatMulNBits":
        return f"{_word(outputs[0]) if outputs else 'fp32'}, weights int4"
    first = [*inputs[:1], *outputs[:1]]
    if any(name in {"int8", "uint8"} for name in first):
        return "int8"
    floats = [name for name in types if name in {"float", "float16", "bfloat16", "double"}]
    return _word(floats[0]) if floats else _word(types[0]) if types else "unknown"


def _word(name: str) -> str:
    words = {"float": "fp32", "float16": "fp16", "bfloat16": "bf16", "double": "fp64"}
    return words.get(name, "int8" if name == "uint8" else name)
