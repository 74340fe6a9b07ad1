# SPDX-License-Identifier: Apache-2.0
"""Inside a `.tflite` file: an interpreter that keeps every tensor, XNNPACK as on the device."""

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.runtime.engines.tflite_notices import notices_dropped
from insight_edge.runtime.engines.tflite_ports import Port
from insight_edge.runtime.insides import Arrays, LayerFacts, Wanted, first_known

DELEGATE = "DELEGATE"
_WORDS = {"float32": "fp32", "float16": "fp16", "uint8": "int8"}
_PUT_IN = frozenset({DELEGATE, "TRANSPOSE"})
_STEP = re.compile(r"_(source_\w+);")
_CONVERSIONS = frozenset({"QUANTIZE", "DEQUANTIZE", "CAST"})


def keeping(make: Callable[..., Any], file: str, threads: int) -> Any:
    """Return an interpreter of a file that keeps what is inside, its tensors allocated."""
    with notices_dropped(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        interpreter = make(
            model_path=file, num_threads=threads, experimental_preserve_all_tensors=True
        )
        interpreter.allocate_tensors()
    return interpreter


def tensors(
    interpreter: Any, ports: Sequence[Port], rows: int | None, inputs: Arrays, wanted: Wanted
) -> dict[str, NDArray[Any]]:
    """Return tensors of a file by the source model's names, those of integers dequantised.

    A file that takes a number of rows at once is asked as often as it takes.
    """
    given = {each["index"] for each in interpreter.get_input_details()}
    known = [d for d in interpreter.get_tensor_details() if d["index"] not in given]
    details = {d["name"]: d for d in known} | _steps(interpreter, known)
    found = first_known(wanted, list(details))
    fed = [port.to_file(inputs[port.name]) for port in ports]
    size = rows or len(fed[0])
    parts: list[dict[str, NDArray[Any]]] = []
    for start in range(0, len(fed[0]) - size + 1, size):
        for port, array in zip(ports, fed, strict=True):
            interpreter.set_tensor(port.index, array[start : start + size])
        interpreter.invoke()
        parts.append({name: _values(interpreter, details[a]) for name, a in found.items()})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def layers(interpreter: Any) -> tuple[LayerFacts, ...]:
    """Return the operators of a file; which of them XNNPACK takes is seen by what it puts out."""
    details = {each["index"]: each for each in interpreter.get_tensor_details()}
    operators = interpreter._get_ops_details()  # noqa: SLF001 (there is no other door)
    taken = {tuple(one["outputs"]) for one in operators if one["op_name"] == DELEGATE}
    return tuple(
        LayerFacts(
            name=str(details[one["outputs"][0]]["name"]) if len(one["outputs"]) else "",
            op=str(one["op_name"]),
            precision=_precision(one, details),
            placement="XNNPACK" if tuple(one["outputs"]) in taken else "CPU, TFLite's own",
        )
        for one in operators
        if one["op_name"] != DELEGATE
    )


def _steps(interpreter: Any, known: Sequence[Any]) -> dict[str, Any]:
    """Return the tensors that are answers of a program's operators, by the operator's name.

    Of what an operator became the last is its answer, and where several became one, the first that
    is named. A transposition that the converter put in is called after what it was put in for.
    """
    details = {each["index"]: each for each in known}
    found = {}
    for one in interpreter._get_ops_details():  # noqa: SLF001 (there is no other door)
        for index in one["outputs"] if one["op_name"] not in _PUT_IN else ():
            if index in details and (step := _STEP.search(str(details[index]["name"]))):
                found[step.group(1)] = details[index]
    return found


def _values(interpreter: Any, details: Mapping[str, Any]) -> NDArray[Any]:
    values: NDArray[Any] = np.atleast_1d(interpreter.get_tensor(details["index"]))
    told = details["quantization_parameters"]
    scales, zeros = np.asarray(told["scales"]), np.asarray(told["zero_points"])
    if values.dtype.kind not in "iu" or not scales.size:
        return values.copy()
    shape = [1] * values.ndim
    if scales.size > 1:
        shape[int(told["quantized_dimension"])] = scales.size
    steps: NDArray[Any] = values.astype(np.float32) - zeros.reshape(shape)
    answer: NDArray[Any] = steps * scales.reshape(shape).astype(np.float32)
    return answer


def _precision(operator: Mapping[str, Any], details: Mapping[int, Mapping[str, Any]]) -> str:
    taken = [_word(details, index) for index in operator["inputs"]]
    given = [_word(details, index) for index in operator["outputs"]]
    first, last = (taken or [""])[0], (given or [""])[0]
    if operator["op_name"] in _CONVERSIONS:
        return f"{first} to {last}"
    if first == "fp32" and "int8" in taken[1:]:
        return "fp32, weights int8"
    return first if first in {"int8", "fp32", "fp16"} else last


def _word(details: Mapping[int, Mapping[str, Any]], index: int) -> str:
    if index not in details:
        return ""
    name = str(np.dtype(details[index]["dtype"]).name)
    return _WORDS.get(name, name)
