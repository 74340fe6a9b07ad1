# SPDX-License-Identifier: Apache-2.0
"""Inside OpenVINO's IR: tensors that become outputs, and the graph as the CPU executes it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.runtime.insides import Arrays, LayerFacts, Wanted, first_known, profiled

SAME = 0.1
"""Share of an answer's size that may change: INT8 without its fusions rounds otherwise, while the
fault changed two thirds of it where it was seen."""

_NOT_EXECUTED = frozenset({"Input", "Output", "Const"})
_WORDS = {"f32": "fp32", "f16": "fp16", "u8": "int8", "i8": "int8"}


def tensors(
    openvino: Any, model: Path, config: Mapping[str, str], inputs: Arrays, wanted: Wanted
) -> dict[str, NDArray[Any]]:
    """Return tensors of a model by the source model's names.

    OpenVINO 2026.4 computes some quantised graphs wrongly when neighbouring tensors are outputs
    as well. Where the model's own outputs change, half as many tensors are asked for at once.
    """
    core = openvino.Core()
    found = first_known(wanted, list(_ports(core.read_model(model))))
    own = _answers(core, model, config, inputs, ())
    known: dict[str, NDArray[Any]] = {}
    waiting = [tuple(dict.fromkeys(found.values()))]
    while waiting:
        some = waiting.pop()
        answers = _answers(core, model, config, inputs, some)
        if len(some) > 1 and not all(_same(values, answers[name]) for name, values in own.items()):
            waiting += [some[: len(some) // 2], some[len(some) // 2 :]]
        else:
            known |= answers
    return {name: known[alias] for name, alias in found.items()}


def _answers(
    core: Any, model: Path, config: Mapping[str, str], inputs: Arrays, shown: Sequence[str]
) -> dict[str, NDArray[Any]]:
    """Return the outputs of a model and the tensors shown besides, by name."""
    read = core.read_model(model)
    own = [port.any_name for port in read.outputs]
    ports = _ports(read)
    more = [name for name in shown if name not in own]
    read.add_outputs([ports[name] for name in more])
    compiled = core.compile_model(read, "CPU", dict(config))
    request = compiled.create_infer_request()
    request.infer(dict(inputs))
    return {name: request.get_tensor(name).data.copy() for name in (*own, *more)}


def _ports(model: Any) -> dict[str, Any]:
    """Return what puts out each named tensor of a model."""
    return {
        name: port
        for operator in model.get_ordered_ops()
        if operator.get_type_name() not in {"Result", "Constant", "Parameter"}
        for port in operator.outputs()
        for name in port.get_names()
    }


def _same(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Return whether two answers differ by no more than other kernels round."""
    if one.dtype.kind != "f":
        return bool(np.array_equal(one, other))
    error = float(np.linalg.norm((one - other).ravel().astype(np.float64)))
    return error <= SAME * float(np.linalg.norm(one.ravel().astype(np.float64)))


def layers(
    openvino: Any, model: Path, config: Mapping[str, str], inputs: Arrays
) -> tuple[LayerFacts, ...]:
    """Return what the compiled model executes, with its times by OpenVINO's own counters."""
    counting = {**config, "PERF_COUNT": "YES"}
    compiled = openvino.Core().compile_model(model, "CPU", counting)
    request = compiled.create_infer_request()
    profiled(lambda: request.infer(dict(inputs)))
    times_us = {
        one.node_name: one.real_time.total_seconds() * 1e6 for one in request.get_profiling_info()
    }
    devices = ", ".join(compiled.get_property("EXECUTION_DEVICES"))
    told = [(one, _plain(one)) for one in compiled.get_runtime_model().get_ordered_ops()]
    return tuple(
        LayerFacts(
            name=one.get_friendly_name(),
            op=plain.get("layerType", ""),
            precision=_precision(plain),
            placement=f"{devices} {plain.get('primitiveType', '')}".strip(),
            parts=tuple(filter(None, plain.get("originalLayersNames", "").split(","))),
            time_us=times_us.get(one.get_friendly_name()),
        )
        for one, plain in told
        if plain.get("layerType") not in _NOT_EXECUTED
    )


def _plain(operator: Any) -> dict[str, str]:
    """Return what is told of an operator, as text."""
    told = operator.get_rt_info()
    names = ("layerType", "runtimePrecision", "outputPrecisions", "primitiveType")
    return {
        name: str(_value(told[name])) for name in (*names, "originalLayersNames") if name in told
    }


def _value(told: Any) -> Any:
    return told.value if hasattr(told, "value") else told


def _precision(plain: Mapping[str, str]) -> str:
    taken = plain.get("runtimePrecision", "")
    given = plain.get("outputPrecisions", "").split(",")[0]
    left, right = _WORDS.get(taken, taken), _WORDS.get(given, given)
    conversion = plain.get("layerType") in {"FakeQuantize", "Convert", "Reorder"}
    return f"{left} to {right}" if conversion and left != right else left
