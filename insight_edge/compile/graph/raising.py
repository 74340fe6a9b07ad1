# SPDX-License-Identifier: Apache-2.0
"""ONNX of an opset older than is compiled, raised to one that is and compared with itself.

onnx's own converter does it. What it makes is believed only where ONNX Runtime
answers to it on drawn rows as it does to the original, or as onnx's reference
does where ONNX Runtime no longer runs that. Runs in the child that examines a file:
the converter is native code and the file a stranger's.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, ValueInfoProto
from onnx.reference import ReferenceEvaluator

from insight_edge.compile.graph.check import OPSETS
from insight_edge.compile.graph.faces import NUMBERS
from insight_edge.compile.graph.parity import refuse_disagreement
from insight_edge.compile.graph.reference import answers
from insight_edge.errors import ModelError

OLD_OPSETS = range(1, OPSETS.start)
"""All before what is compiled; ONNX Runtime promises to run 7 and later."""

RAISED_TO = 18
"""Read by every compiler tried."""

LISTED_IR = 4
"""The first version of the format in which weights, as the converter adds, need not be inputs."""

FREE_SIZES = (2, 1, 64)
"""Tried in order for dimensions without a size, until the model runs: a batch, one row where the
graph is made for one, and images that convolutions do not use up."""

HINT = f"export it anew with opset {RAISED_TO}"

Inputs = dict[str, NDArray[Any]]


def raised(model: ModelProto) -> ModelProto | None:
    """Return the model at opset 18 where it is older than is compiled, else None.

    Args:
        model: complete in itself; it stays as it is.

    Raises:
        ModelError: it cannot be converted, the original runs on nothing, or answers otherwise.
    """
    opset = _old_opset(model)
    if opset is None:
        return None
    try:
        found = onnx.version_converter.convert_version(model, RAISED_TO)
    except Exception as error:
        raise ModelError(
            f"opset {opset} cannot be raised to {RAISED_TO}: {_one_line(error)}", hint=HINT
        ) from error
    found.ir_version = max(found.ir_version, LISTED_IR)
    inputs, expected = _asked(model, opset)
    data = found.SerializeToString(deterministic=True)
    try:
        refuse_disagreement(data, inputs, expected, framework=f"the original of opset {opset}")
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(
            f"opset {opset} cannot be raised to {RAISED_TO}: what comes out does not run "
            f"({_one_line(error)})",
            hint=HINT,
        ) from error
    return found


def _old_opset(model: ModelProto) -> int | None:
    """Return the opset of standard operators where it is one that can be raised."""
    versions = {o.version for o in model.opset_import if o.domain in {"", "ai.onnx"}}
    old = len(versions) == 1 and versions <= set(OLD_OPSETS)
    return versions.pop() if old else None


def _asked(model: ModelProto, opset: int) -> tuple[Inputs, list[NDArray[Any]]]:
    """Return drawn rows and what the original answers to them."""
    data, why = model.SerializeToString(deterministic=True), ""
    for ask in (partial(answers, data), partial(_reference_answers, model)):
        for inputs in _drawn(model):
            try:
                return inputs, list(ask(inputs).values())
            except Exception as error:  # noqa: BLE001 (an engine has an exception for each of its states)
                why = why or _one_line(error)
    raise ModelError(
        f"raised from opset {opset}, and nothing to compare it with: the original does not run "
        f"({why})",
        hint=HINT,
    )


def _reference_answers(model: ModelProto, inputs: Inputs) -> Inputs:
    """Return what onnx's own reference answers: slow, and it knows the oldest operators."""
    evaluator = ReferenceEvaluator(model)
    return dict(zip(evaluator.output_names, evaluator.run(None, inputs), strict=True))


def _drawn(model: ModelProto) -> Iterator[Inputs]:
    carried = {tensor.name for tensor in model.graph.initializer}
    wanted = [value for value in model.graph.input if value.name not in carried]
    if any(value.type.tensor_type.elem_type not in NUMBERS for value in wanted):
        raise ModelError("raised from an old opset: takes what is no tensor of numbers", hint=HINT)
    for size in FREE_SIZES:
        random = np.random.default_rng(0)
        yield {value.name: _rows(value, size, random) for value in wanted}


def _rows(value: ValueInfoProto, size: int, random: np.random.Generator) -> NDArray[Any]:
    """Return normal noise, or zeros and ones where an index may be meant."""
    tensor = value.type.tensor_type
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    shape = [d.dim_value if d.HasField("dim_value") else size for d in tensor.shape.dim]
    if dtype.kind == "f":
        return random.standard_normal(shape).astype(dtype)
    return random.integers(0, 2, shape).astype(dtype)


def _one_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
