# SPDX-License-Identifier: Apache-2.0
"""The engine `openvino`: OpenVINO IR on the CPU.

The precision hint comes from the artifact's settings and is always set: left
alone, OpenVINO computes in bfloat16 wherever the CPU can, and answers would
differ from device to device. Each caller inside has an infer request of its own.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.bundle.open import Bundle
from insight_edge.documents.facts import EngineFacts, Missing
from insight_edge.documents.manifest import Variant
from insight_edge.runtime.engines import openvino_insides
from insight_edge.runtime.engines.hiding import hidden
from insight_edge.runtime.engines.presence import engine_facts
from insight_edge.runtime.insides import LayerFacts, Wanted
from insight_edge.runtime.processor import isa_extensions
from insight_edge.runtime.signal_stack import signal_stack_kept

NAME = "openvino"
PRECISION_HINT = "INFERENCE_PRECISION_HINT"

_CACHE_WITHOUT_WEIGHTS = {"CACHE_MODE": "OPTIMIZE_SIZE"}

Tensors = Mapping[str, NDArray[Any]]


class OpenVinoEngine:
    """Loads `.xml` + `.bin` pairs."""

    def facts(self) -> EngineFacts | Missing:
        """Return its version and the precisions that this CPU has instructions for."""
        return engine_facts(NAME, _precisions())

    def load(self, bundle: Bundle, variant: Variant, *, threads: int) -> "OpenVinoSession":
        """Return a session on the variant's IR, compiled for this CPU now."""
        return _loaded(bundle, variant, _config(variant, threads))

    def cache_options(self, variant: Variant, *, threads: int) -> Iterable[str]:
        """Return the configuration."""
        return (f"{name}={value}" for name, value in _config(variant, threads).items())

    def load_cached(
        self, bundle: Bundle, variant: Variant, cache: bytes | None, *, threads: int
    ) -> "OpenVinoSession":
        """Return a session on a graph that is compiled already; weights are the artifact's."""
        return _loaded(bundle, variant, _config(variant, threads) | _CACHE_WITHOUT_WEIGHTS, cache)

    def layers(self, bundle: Bundle, variant: Variant, inputs: Tensors) -> tuple[LayerFacts, ...]:
        """Return what the compiled model executes."""
        openvino, config = _import_openvino(), _config(variant, 1)
        with signal_stack_kept():
            return openvino_insides.layers(openvino, bundle.file(variant.entry), config, inputs)

    def tensors(
        self, bundle: Bundle, variant: Variant, inputs: Tensors, wanted: Wanted
    ) -> dict[str, NDArray[Any]]:
        """Return tensors inside, by the source model's names."""
        openvino, config, entry = _import_openvino(), _config(variant, 1), variant.entry
        with signal_stack_kept():
            return openvino_insides.tensors(openvino, bundle.file(entry), config, inputs, wanted)


class OpenVinoSession:
    """One compiled model and a pool of infer requests, one a caller inside.

    Tensors are set and got one by one: passing mappings to and from a request
    costs some twenty microseconds more of every inference.
    """

    __slots__ = ("_compiled", "_ports", "_requests", "_taken", "_tensor")

    def __init__(
        self, compiled: Any, inputs: list[str], names: list[str], tensor: Callable[..., Any]
    ) -> None:
        self._compiled = compiled
        self._ports = {name: compiled.output(name) for name in names}
        self._taken = _input_ports(compiled, inputs)
        self._tensor = tensor
        self._requests: deque[Any] = deque()

    def infer(self, inputs: Tensors) -> dict[str, NDArray[Any]]:
        """Return the model outputs, copied out of the request's own memory."""
        try:
            request = self._requests.pop()
        except IndexError:
            request = self._compiled.create_infer_request()
        try:
            # A tensor does not keep the memory that it shares: a copy has to live until the end.
            shared = [(port, _shareable(inputs[name])) for name, port in self._taken.items()]
            for port, array in shared:
                request.set_tensor(port, self._tensor(array, shared_memory=True))
            request.infer()
            return {
                name: request.get_tensor(port).data.copy() for name, port in self._ports.items()
            }
        finally:
            self._requests.append(request)

    def cache(self) -> bytes:
        """Return the compiled graph without its weights."""
        exported: bytes = self._compiled.export_model().getvalue()
        return exported

    def close(self) -> None:
        """Drop the requests and the model."""
        with signal_stack_kept():
            self._requests.clear()
            self._ports = {}
            self._taken = {}
            self._compiled = None


def _loaded(
    bundle: Bundle, variant: Variant, config: dict[str, str], cache: bytes | None = None
) -> OpenVinoSession:
    openvino, entry = _import_openvino(), bundle.file(variant.entry)
    weights = entry.with_suffix(".bin")
    with signal_stack_kept():
        if cache is None:
            compiled = openvino.Core().compile_model(str(entry), "CPU", config)
        else:
            if any(file.path == weights.name for file in variant.files):
                config = config | {"WEIGHTS_PATH": str(weights)}
            compiled = openvino.Core().import_model(BytesIO(cache), "CPU", config)
    io = bundle.manifest.io
    inputs, outputs = ([spec.name for spec in side] for side in (io.model_inputs, io.model_outputs))
    return OpenVinoSession(compiled, inputs, outputs, openvino.Tensor)


def _input_ports(compiled: Any, names: list[str]) -> dict[str, Any]:
    """Return the compiled model's inputs by the names of the model's.

    One that no operator reads is not in there. One that is an output as well has lost its own
    name to that, and goes by its place.

    Raises:
        ValueError: an input would be left as the memory was.
    """
    ports = list(compiled.inputs)
    by_name = {name: port for port in ports for name in port.get_names()}
    found = {name: by_name[name] for name in names if name in by_name}
    if len(found) == len(ports):
        return found
    if len(ports) != len(names):
        raise ValueError("the compiled model has inputs that the bundle does not name")
    return dict(zip(names, ports, strict=True))


def _config(variant: Variant, threads: int) -> dict[str, str]:
    strange = variant.settings.keys() - {PRECISION_HINT}
    if strange:
        # A property may name files to write, so a bundle sets this one and no other.
        raise ValueError(f"setting '{min(strange)}' is not one that a bundle may set")
    return {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": str(threads),
        PRECISION_HINT: variant.settings.get(PRECISION_HINT, "f32"),
    }


def _shareable(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array, or a copy where its memory is of no use as a tensor.

    Raises:
        OverflowError: it is float64, which OpenVINO makes float32, and does not fit.
    """
    if array.dtype == np.float64 and np.abs(array).max(initial=0.0) > np.finfo(np.float32).max:
        raise OverflowError("a float64 input holds numbers that float32, as computed here, has not")
    flags = array.flags
    return array if flags.c_contiguous and flags.writeable else array.copy()


def _import_openvino() -> Any:
    """Import OpenVINO without its telemetry and its converter.

    The one forks a process that sends usage data; the other takes more than half of
    the time of the import, all of it with the interpreter's lock, and a device
    converts nothing. An application that does imports it from `openvino.tools.ovc`.
    """
    with hidden("openvino_telemetry"), hidden("openvino.tools.ovc"):
        import openvino
    return openvino


def _precisions() -> tuple[str, ...]:
    isa = set(isa_extensions())
    precisions = ["fp32"]
    if isa & {"avx512_bf16", "amx_bf16", "bf16"}:
        precisions.append("bf16")
    # Of weights alone: they are made FP32 when the artifact is loaded, on any processor.
    precisions.append("fp16")
    if isa & {"avx2", "avx_vnni", "avx512_vnni", "asimddp"}:
        precisions.append("int8")
    return tuple(precisions)
