# SPDX-License-Identifier: Apache-2.0
"""The Open Inference Protocol, version 2: what its HTTP bodies say, but for the tensors.

Rules O1 to O9 are in docs/formats/open-inference.md. It is a foreign protocol, not a document
of ours: fields that nobody here knows are ignored and not written back. Tensors are in
`open_inference_tensors`, whole bodies in `open_inference_body`. This module opens no socket.
"""

from typing import Annotated, Final, Generic, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct, field

from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import DocumentError, LimitExceededError

MAX_TENSORS: Final = 64
MAX_RANK: Final = 16
MAX_NAME: Final = 256
"""Characters of an id, a key, or the name of a tensor."""

MAX_JSON_BYTES: Final = 64 * 1024 * 1024
"""Of a body, or of the JSON before binary tensors."""

EXTENSIONS: Final = ("binary_tensor_data", "statistics", "model_repository")

NUMPY_NAMES: Final = {
    "BOOL": "bool",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "uint64",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
    "BYTES": "str",
    "STRING": "str",
}
"""NumPy's name of each datatype; `STRING` is read, `BYTES` is written."""

DATATYPES: Final = {name: word for word, name in NUMPY_NAMES.items() if word != "STRING"}

Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]
Shape = Annotated[tuple[Annotated[int, Meta(ge=0, le=2**40)], ...], Meta(max_length=MAX_RANK)]
Parameters = dict[str, bool | int | float | str]


class InputTensor(Struct, frozen=True):
    """One tensor of a request, but for its elements.

    Attributes:
        parameters: `binary_data_size` is its length in the binary part, in bytes.
    """

    name: Name
    shape: Shape
    datatype: str
    parameters: Parameters = {}


class NumbersInput(InputTensor, frozen=True):
    """One whose elements are numbers in a flat list, or in the binary part."""

    data: list[int | float] | None = None


class InferInput(InputTensor, frozen=True):
    """Any other; `data` is its elements as JSON, not decoded yet."""

    data: Raw = field(default_factory=Raw)


class RequestedOutput(Struct, frozen=True):
    """One tensor that the client wants; `binary_data` of its parameters says how."""

    name: Name
    parameters: Parameters = {}


Input = TypeVar("Input", NumbersInput, InferInput)


class InferRequest(Struct, Generic[Input], frozen=True):
    """The JSON of a request.

    Attributes:
        id: the client's; the answer repeats it.
        parameters: `key` is the caller's own name for the call; `binary_data_output` says how
            outputs are wanted that say nothing themselves; `flags` asks for those of the result.
        outputs: all of them where it is empty.
    """

    inputs: Annotated[tuple[Input, ...], Meta(min_length=1, max_length=MAX_TENSORS)]
    id: Annotated[str, Meta(max_length=MAX_NAME)] = ""
    parameters: Parameters = {}
    outputs: Annotated[tuple[RequestedOutput, ...], Meta(max_length=MAX_TENSORS)] = ()


AnyRequest = InferRequest[NumbersInput] | InferRequest[InferInput]


class InferOutput(Struct, frozen=True, omit_defaults=True):
    """One tensor of an answer: with `data`, or with `binary_data_size` among its parameters."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    parameters: Parameters = {}
    data: list[bool | int | float | str] | None = None


class InferResponse(Struct, frozen=True, omit_defaults=True):
    """The JSON of an answer.

    Attributes:
        parameters: `result` is the runtime's id of it, `bundle` the digest of who answered,
            `flags` what was odd about the input, where that was asked.
    """

    model_name: str
    model_version: str
    outputs: tuple[InferOutput, ...]
    id: str = ""
    parameters: Parameters = {}


class TensorMetadata(Struct, frozen=True):
    """What a tensor of a model looks like; a dimension of any size is -1."""

    name: str
    datatype: str
    shape: tuple[int, ...]


class ModelMetadata(Struct, frozen=True):
    """What a model takes and answers.

    Attributes:
        platform: token of the engine that runs it.
        parameters: `bundle` is the digest of its manifest, `signed` whether that was checked.
    """

    name: str
    versions: tuple[str, ...]
    platform: str
    inputs: tuple[TensorMetadata, ...]
    outputs: tuple[TensorMetadata, ...]
    parameters: Parameters = {}


class ServerMetadata(Struct, frozen=True):
    """What the server is."""

    name: str
    version: str
    extensions: tuple[str, ...] = EXTENSIONS


class ModelReady(Struct, frozen=True):
    """Whether a model answers."""

    name: str
    ready: bool


class IndexEntry(Struct, frozen=True):
    """A model of the repository.

    Attributes:
        state: `READY` or `UNAVAILABLE`, and then the reason.
    """

    name: str
    version: str
    state: str
    reason: str = ""


class ErrorBody(Struct, frozen=True):
    """What every refusal says: one line."""

    error: str


_numbers = msgspec.json.Decoder(InferRequest[NumbersInput])
_any = msgspec.json.Decoder(InferRequest[InferInput])


def request_from_json(data: bytes | memoryview) -> AnyRequest:
    """Return the JSON of a request; where it is not numbers, its elements are not decoded.

    Raises:
        LimitExceededError: it is longer than is ever read.
        DocumentError: it is not such a document; the path to what is wrong is named.
    """
    if len(data) > MAX_JSON_BYTES:
        raise LimitExceededError(
            f"the JSON has {len(data)} bytes, at most {MAX_JSON_BYTES} are read"
        )
    try:
        return _numbers.decode(data)  # what nearly all are, in one pass
    except (msgspec.MsgspecError, RecursionError, ValueError):
        pass
    try:
        return _any.decode(data)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise DocumentError(f"request: {error}") from error


def metadata_from_spec(spec: TensorSpec) -> TensorMetadata:
    """Return what the protocol says of a tensor."""
    return TensorMetadata(
        name=spec.name,
        datatype=DATATYPES[spec.dtype],
        shape=tuple(size if isinstance(size, int) else -1 for size in spec.shape),
    )
