# SPDX-License-Identifier: Apache-2.0
"""The engine `openvino`: OpenVINO IR on the CPU.

The precision hint comes from the artifact's settings and is always set: left
alone, OpenVINO computes in bfloat16 wherever the CPU can, and answers would
differ from device to device. Each caller inside has an infer request of its own.
"""

import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from numpy.typing import NDArray

from insight_edge.bundle.open import Bundle
from insight_edge.documents.facts import EngineFacts, Missing
from insight_edge.documents.manifest import Variant
from insight_edge.runtime.engines.presence import engine_facts
from insight_edge.runtime.processor import isa_extensions
from insight_edge.runtime.signal_stack import signal_stack_kept

NAME = "openvino"
PRECISION_HINT = "INFERENCE_PRECISION_HINT"

Tensors = Mapping[str, NDArray[Any]]


class OpenVinoEngine:
    """Loads `.xml` + `.bin` pairs."""

    def facts(self) -> EngineFacts | Missing:
        """Return its version and the precisions that this CPU has instructions for."""
        return engine_facts(NAME, _precisions())

    def load(self, bundle: Bundle, variant: Variant, *, threads: int) -> "OpenVinoSession":
        """Return a session on the variant's IR, compiled for this CPU now."""
        strange = variant.settings.keys() - {PRECISION_HINT}
        if strange:
            # A property may name files to write, so a bundle sets this one and no other.
            raise ValueError(f"setting '{min(strange)}' is not one that a bundle may set")
        config = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
            "INFERENCE_NUM_THREADS": str(threads),
            PRECISION_HINT: variant.settings.get(PRECISION_HINT, "f32"),
        }
        openvino = _import_openvino()
        entry = str(bundle.file(variant.entry))
        with signal_stack_kept():
            compiled = openvino.Core().compile_model(entry, "CPU", config)
        names = [out.name for out in bundle.manifest.io.model_outputs]
        return OpenVinoSession(compiled, names, openvino.Tensor)


class OpenVinoSession:
    """One compiled model and a pool of infer requests, one a caller inside.

    Tensors are set and got one by one: passing mappings to and from a request
    costs some twenty microseconds more of every inference.
    """

    __slots__ = ("_compiled", "_ports", "_requests", "_tensor")

    def __init__(self, compiled: Any, names: list[str], tensor: Callable[..., Any]) -> None:
        self._compiled = compiled
        self._ports = {name: compiled.output(name) for name in names}
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
            shared = {name: _shareable(array) for name, array in inputs.items()}
            for name, array in shared.items():
                request.set_tensor(name, self._tensor(array, shared_memory=True))
            request.infer()
            return {
                name: request.get_tensor(port).data.copy() for name, port in self._ports.items()
            }
        finally:
            self._requests.append(request)

    def close(self) -> None:
        """Drop the requests and the model."""
        with signal_stack_kept():
            self._requests.clear()
            self._ports = {}
            self._compiled = None


def _shareable(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array, or a copy where its memory is of no use as a tensor."""
    flags = array.flags
    return array if flags.c_contiguous and flags.writeable else array.copy()


def _import_openvino() -> Any:
    """Import OpenVINO without its telemetry and its converter.

    The one forks a process that sends usage data; the other takes more than half of
    the time of the import, all of it with the interpreter's lock, and a device
    converts nothing. An application that does imports it from `openvino.tools.ovc`.
    """
    with _hidden("openvino_telemetry"), _hidden("openvino.tools.ovc"):
        import openvino
    return openvino


@contextmanager
def _hidden(module: str) -> Iterator[None]:
    """Let the import of a module fail within the block, as `sys.modules` is documented to."""
    kept = sys.modules.get(module)
    sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[module]
        if kept is not None:
            sys.modules[module] = kept


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
