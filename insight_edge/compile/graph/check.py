# SPDX-License-Identifier: Apache-2.0
"""Whether bytes are an ONNX model that may be compiled.

Everything that later code relies on is established here, before any compiler
sees the model: it is small enough, complete in one file, joined as a graph must
be, made of standard operators of a supported version, and no tensor carries
another amount than it claims. Nothing is converted or repaired. The last word
is onnx's own checker, which hostile bytes can crash: files of strangers are
checked in a child process (`compile.importers.onnx`).
"""

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # no stubs
from onnx import (
    ModelProto,
    NodeProto,
)

from insight_edge.compile.graph.faces import refuse_faces
from insight_edge.compile.graph.light import light_copy
from insight_edge.compile.graph.parts import Body, Versions, bodies, called_names
from insight_edge.compile.graph.tensor_data import refuse_tensor, tensors_of
from insight_edge.compile.graph.unfolding import refuse_expansion
from insight_edge.compile.graph.unprovable import refuse_unprovable
from insight_edge.compile.graph.wiring import node_label, refuse_text, refuse_wiring
from insight_edge.errors import ModelError

MAX_MODEL_BYTES = 2**31 - 1
"""Protobuf reads no larger message; an edge model is a hundred times smaller."""

OPSETS = range(11, 26)
"""From the first that can be quantised to the last that the conformance corpora have models of;
which of the newer operators a compiler does not have is for its backend to say."""

STANDARD_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})


def model_from_bytes(data: bytes) -> ModelProto:
    """Return the checked ONNX model in `data`.

    Raises:
        ModelError: the first thing that is wrong with it.
    """
    refuse_size(len(data))
    model = parse_model(data)
    check_model(model)
    return model


def refuse_size(length_bytes: int) -> None:
    """Raise where a model is larger than is ever read.

    Raises:
        ModelError: it is.
    """
    if length_bytes > MAX_MODEL_BYTES:
        raise ModelError(f"{length_bytes} bytes, at most {MAX_MODEL_BYTES} are read")


def parse_model(data: bytes) -> ModelProto:
    """Return what `data` says, unchecked.

    Raises:
        ModelError: it says nothing.
    """
    try:
        return onnx.load_model_from_string(data)
    except DecodeError as error:
        raise ModelError("not an ONNX model") from error


def check_model(model: ModelProto) -> None:
    """Refuse a model that must not be compiled.

    Raises:
        ModelError: the first thing that is wrong with it.
    """
    if not model.graph.node or not model.graph.output:
        raise ModelError("not an ONNX model: it has no operators or no outputs")
    refuse_text(model)
    opset_of(model)
    refuse_expansion(model)
    for body, versions in bodies(model):
        _refuse_operators(body, versions, model)
    for owner, tensor in tensors_of(model):
        refuse_tensor(owner, tensor)
    refuse_wiring(model)
    for body, _ in bodies(model):
        refuse_unprovable(body)
    refuse_faces(model.graph)
    try:
        onnx.checker.check_model(light_copy(model), full_check=True)
    except Exception as error:
        raise ModelError(f"not valid ONNX: {_one_line(error)}") from error


def opset_of(model: ModelProto) -> int:
    """Return the version of the standard operators; some exporters write it twice.

    It is 0 for a model of classical operators alone, which need not say one.

    Raises:
        ModelError: contradictory or outside `OPSETS`.
    """
    versions = {o.version for o in model.opset_import if o.domain in {"", "ai.onnx"}}
    if not versions:
        return 0
    if len(versions) != 1:
        raise ModelError(f"its opset is not one version: {sorted(versions)}")
    version = versions.pop()
    if version not in OPSETS:
        raise ModelError(
            f"opset {version} is not supported",
            hint=f"export with opset 18; {OPSETS.start} to {OPSETS.stop - 1} are read",
        )
    return int(version)


def _refuse_operators(body: Body, versions: Versions, model: ModelProto) -> None:
    functions = {(f.domain, f.name) for f in model.functions}
    for index, node in enumerate(body.node):
        name = called_names(node)
        if name in functions:
            continue
        if name[0] not in STANDARD_DOMAINS:
            called = f"node '{node.name}'" if node.name else f"node {index}"
            raise ModelError(
                f"{called} is the custom operator {'.'.join(name)}",
                hint="export with standard ONNX operators only",
            )
        _refuse_operator(node, index, versions)


def _refuse_operator(node: NodeProto, index: int, versions: Versions) -> None:
    """Refuse a standard operator that its opset does not have, or has no more."""
    domain, op = called_names(node)
    label, opset = node_label(node, index), f"{domain} opset".strip()
    version = versions.get(domain)
    if version is None:
        raise ModelError(f"{label}: the model does not say which {opset} it is of")
    try:
        schema = onnx.defs.get_schema(op, version, domain)
    except (onnx.defs.SchemaError, TypeError) as error:  # the latter: a version beyond 32 bits
        raise ModelError(
            f"{label}: {opset} {version} has no such operator",
            hint="export with standard ONNX operators only",
        ) from error
    if schema.deprecated:
        raise ModelError(f"{label}: is no longer in {opset} {version}")
    # onnx 1.23 writes past the end of its list where this does not hold, and aborts.
    count = next((a.i for a in node.attribute if a.name == "num_outputs"), None)
    if op == "Split" and count is not None and count != len(node.output):
        raise ModelError(f"{label}: splits into {count} and has {len(node.output)} outputs")


def _one_line(error: Exception) -> str:
    """Return the first line, and the node where a later one names it."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    named = next((line for line in lines[1:] if "Name: " in line), None)
    return lines[0] if named is None else f"{lines[0]} ({named.strip(' =>')})"
