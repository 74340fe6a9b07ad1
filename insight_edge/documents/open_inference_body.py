# SPDX-License-Identifier: Apache-2.0
"""Whole bodies of the Open Inference Protocol: JSON, and after it tensors as plain bytes.

With the binary extension the header `Inference-Header-Content-Length` says how long the JSON is;
the tensors follow in the order in which it names them. This module knows no model and no HTTP.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from numpy.typing import NDArray

from insight_edge.documents.open_inference import (
    MAX_NAME,
    AnyRequest,
    InferInput,
    InferOutput,
    InferResponse,
    NumbersInput,
    Parameters,
    request_from_json,
)
from insight_edge.documents.open_inference_tensors import (
    array_from_binary,
    array_from_json,
    array_from_numbers,
    bytes_from_array,
    datatype_from_array,
    list_from_array,
)
from insight_edge.errors import DocumentError, TensorMismatchError

Array = NDArray[Any]

_UNSERVED = {
    "shared_memory_region": "tensors are not taken from shared memory here",
    "classification": "classes are in the bundle's own outputs",
    "sequence_id": "no state is kept between requests",
}
"""Parameters that would change the answer, and why they are refused."""


class Question(Struct, frozen=True):
    """What a client asks.

    Attributes:
        id: the client's, to be repeated; empty where it gave none.
        key: its own name for the call.
        inputs: arrays by name.
        outputs: the names of those wanted and whether as bytes; all where it is empty.
        binary: how outputs are wanted that say nothing themselves.
        flags: whether it wants to hear what was odd about its input.
    """

    id: str
    key: str | None
    inputs: dict[str, Array]
    outputs: dict[str, bool]
    binary: bool
    flags: bool = False


class Body(Struct, frozen=True):
    """The body of an answer.

    Attributes:
        json_bytes: length of its JSON where tensors follow, else None.
    """

    data: bytes
    json_bytes: int | None


def question_from_body(body: bytes, json_bytes: int | None) -> Question:
    """Return what a body asks.

    Args:
        body: as it came, decompressed.
        json_bytes: what the header `Inference-Header-Content-Length` says; None without it.

    Raises:
        LimitExceededError: the JSON is longer than is ever read.
        DocumentError: the JSON is malformed, the binary part too short or too long, or a
            parameter asks for what is not served.
        TensorMismatchError: a tensor is not of the datatype or the shape that it says.
    """
    if json_bytes is not None and json_bytes > len(body):
        raise DocumentError(
            f"Inference-Header-Content-Length is {json_bytes}, of a body of {len(body)} bytes"
        )
    view = memoryview(body)
    split = len(body) if json_bytes is None else json_bytes
    request = request_from_json(view[:split])
    _refuse_unserved(request.parameters, "request")
    binary = _truth(request.parameters, "binary_data_output", "request")
    return Question(
        id=request.id,
        key=_key(request),
        inputs=_inputs(request.inputs, view[split:]),
        outputs=_outputs(request, binary=binary),
        binary=binary,
        flags=_truth(request.parameters, "flags", "request"),
    )


def body_from_answer(
    question: Question, model: tuple[str, str], outputs: Mapping[str, Array], parameters: Parameters
) -> Body:
    """Return the body that answers a question.

    Args:
        question: which outputs, and how.
        model: name and version of who answered.
        outputs: all that it answered.
        parameters: of the answer.

    Raises:
        TensorMismatchError: there is no such output, or JSON cannot hold it.
    """
    refuse_outputs(question, tuple(outputs))
    wanted = question.outputs or dict.fromkeys(outputs, question.binary)
    told: list[InferOutput] = []
    parts: list[bytes] = []
    for name, binary in wanted.items():
        array = outputs[name]
        datatype, shape = datatype_from_array(array), array.shape
        if binary:
            parts.append(bytes_from_array(array))
            size: Parameters = {"binary_data_size": len(parts[-1])}
            told.append(InferOutput(name, datatype, shape, size))
        else:
            told.append(InferOutput(name, datatype, shape, data=list_from_array(name, array)))
    answer = InferResponse(*model, tuple(told), question.id, parameters)
    head = msgspec.json.encode(answer)
    return Body(b"".join((head, *parts)), len(head)) if parts else Body(head, None)


def refuse_outputs(question: Question, known: tuple[str, ...]) -> None:
    """Refuse what no model answers.

    Raises:
        TensorMismatchError: an output is wanted that is not known.
    """
    for name in question.outputs:
        if name not in known:
            raise TensorMismatchError(
                f"there is no output '{name}'", hint=f"outputs: {', '.join(known)}"
            )


def _inputs(tensors: Sequence[NumbersInput | InferInput], binary: memoryview) -> dict[str, Array]:
    found: dict[str, Array] = {}
    at = 0
    for tensor in tensors:
        where = f"input '{tensor.name}'"
        if tensor.name in found:
            raise DocumentError(f"{where} is there twice")
        _refuse_unserved(tensor.parameters, where)
        size = tensor.parameters.get("binary_data_size")
        if size is None:
            found[tensor.name] = _array_from_text(tensor)
            continue
        _refuse_size(tensor, size, len(binary) - at)
        found[tensor.name] = array_from_binary(tensor, binary[at : at + int(size)])
        at += int(size)
    if at != len(binary):
        raise DocumentError(f"{len(binary) - at} bytes after the last binary tensor")
    return found


def _array_from_text(tensor: NumbersInput | InferInput) -> Array:
    if isinstance(tensor, NumbersInput):
        return array_from_numbers(tensor)
    return array_from_json(tensor)


def _has_elements(tensor: NumbersInput | InferInput) -> bool:
    if isinstance(tensor, NumbersInput):
        return tensor.data is not None
    return bool(memoryview(tensor.data))


def _refuse_size(tensor: NumbersInput | InferInput, size: object, left: int) -> None:
    where = f"input '{tensor.name}'"
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise DocumentError(f"{where}: binary_data_size is {size!r}, expected a length in bytes")
    if _has_elements(tensor):
        raise DocumentError(f"{where} has both data and binary_data_size")
    if size > left:
        raise DocumentError(f"{where}: binary_data_size is {size}, {max(0, left)} bytes are left")


def _outputs(request: AnyRequest, *, binary: bool) -> dict[str, bool]:
    wanted: dict[str, bool] = {}
    for output in request.outputs:
        where = f"output '{output.name}'"
        if output.name in wanted:
            raise DocumentError(f"{where} is asked for twice")
        _refuse_unserved(output.parameters, where)
        wanted[output.name] = _truth(output.parameters, "binary_data", where, default=binary)
    return wanted


def _key(request: AnyRequest) -> str | None:
    key = request.parameters.get("key", request.id or None)
    if key is not None and (not isinstance(key, str) or len(key) > MAX_NAME):
        raise DocumentError(f"request: key: expected text of at most {MAX_NAME} characters")
    return key


def _truth(parameters: Parameters, name: str, where: str, *, default: bool = False) -> bool:
    found = parameters.get(name, default)
    if not isinstance(found, bool):
        raise DocumentError(f"{where}: {name} is {found!r}, expected true or false")
    return found


def _refuse_unserved(parameters: Parameters, where: str) -> None:
    for name in parameters:
        if name in _UNSERVED and parameters[name]:
            raise DocumentError(f"{where}: {name}: {_UNSERVED[name]}")
