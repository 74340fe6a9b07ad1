# SPDX-License-Identifier: Apache-2.0
"""What a model asks of hardware and toolchains: operations, arithmetic, bytes, live memory."""

from typing import Literal, TypeAlias

import msgspec

from insight_edge.documents.codec import Document, Versioned
from insight_edge.documents.tensors import TensorSpec

Origin: TypeAlias = Literal["constant", "shape", "data"]
"""Where a tensor comes from: constants alone; sizes of tensors, too; what callers pass, too."""


Said: TypeAlias = int | str | tuple[int, ...]
"""What an attribute of an operator is."""


class Operand(Document, frozen=True, kw_only=True):
    """A tensor as an input of an operator.

    Attributes:
        dtype: empty where it is not known, or no tensor.
        rank: number of dimensions, None where it is not known.
    """

    dtype: str
    rank: int | None = None
    origin: Origin = "data"


class Signature(Document, frozen=True, kw_only=True):
    """What calls of an operator look like, sizes apart.

    Attributes:
        op: as `Operation.op`.
        inputs: None for one that is left out.
        outputs: for each whether anybody reads it.
        attributes: those given that some backend has a rule about.
    """

    op: str
    inputs: tuple[Operand | None, ...]
    outputs: tuple[bool, ...]
    attributes: dict[str, Said] = msgspec.field(default_factory=dict)


class Operation(Document, frozen=True, kw_only=True):
    """One node of the graph at batch 1.

    Attributes:
        signature: place in `Workload.signatures`; -1 in documents of before there were any.
        flops: floating-point operations (a multiply-add is two).
        read_bytes: activations and weights read.
        written_bytes: activations written.
        parameter_bytes: weights it owns.
    """

    name: str
    op: str
    flops: int
    read_bytes: int
    written_bytes: int
    parameter_bytes: int = 0
    signature: int = -1


class LiveTensor(Document, frozen=True, kw_only=True):
    """An activation that is alive when most memory is taken."""

    name: str
    length_bytes: int


class Workload(Versioned, frozen=True, kw_only=True):
    """The whole graph at batch 1, symbolic dimensions taken as 1.

    Attributes:
        model_digest: of the ONNX file it was read from.
        peak_live_bytes: the largest sum of activations alive at once, in graph order.
        peak_operation: the operation during which that many are alive.
        peak_tensors: the largest of them.
        unsized: activations whose size is not known before the model runs; they count as 0.
        unknown_ops: op types whose arithmetic is not known; their flops count as 0.
        signatures: of all operations, each once.
        called: why a row is one whole call; empty where it is a row of the model itself.
    """

    model_digest: str
    opset: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    operations: tuple[Operation, ...]
    flops: int
    parameter_bytes: int
    peak_live_bytes: int
    unknown_ops: tuple[str, ...] = ()
    peak_operation: str = ""
    peak_tensors: tuple[LiveTensor, ...] = ()
    unsized: tuple[str, ...] = ()
    signatures: tuple[Signature, ...] = ()
    called: str = ""
