# SPDX-License-Identifier: Apache-2.0
"""The engine `onnxruntime`: ONNX files on the CPU, or on an NVIDIA GPU if built for one.

An artifact whose settings say `optimized: yes` was optimised for this kind of
processor when it was built; doing it again at load would cost time and memory
for nothing. Worker threads do not spin between inferences: on a device a core
that waits busily is heat, and a neighbour's latency. One thread is no slower for
it; two were 4 to 9 % slower on models that take less than half a millisecond.
ONNX Runtime goes on with the CPU where a GPU cannot be used, and only logs it: here
that is an error.
"""

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from insight_edge.bundle.open import Bundle
from insight_edge.documents.facts import EngineFacts, Missing
from insight_edge.documents.manifest import Variant
from insight_edge.runtime.engines.presence import engine_facts
from insight_edge.runtime.insides import LayerFacts, Wanted
from insight_edge.runtime.processor import isa_extensions
from insight_edge.runtime.usage_data import send_none

NAME = "onnxruntime"
ERRORS_ONLY = 3

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"

Tensors = Mapping[str, NDArray[Any]]


class OnnxRuntimeEngine:
    """Loads `.onnx` and `.ort` files."""

    def facts(self) -> EngineFacts | Missing:
        """Return its version, and INT8 among the precisions where the CPU multiplies bytes."""
        return engine_facts(NAME, _precisions(), distributions=("onnxruntime-gpu",))

    def load(self, bundle: Bundle, variant: Variant, *, threads: int) -> "OnnxRuntimeSession":
        """Return a session on the variant's ONNX file."""
        send_none()
        import onnxruntime

        options, providers = _options(variant, threads), _providers(variant)
        _refuse_other(providers[0], onnxruntime.get_available_providers())
        session = onnxruntime.InferenceSession(
            str(bundle.file(variant.entry)), options, providers=providers
        )
        _refuse_other(providers[0], session.get_providers())
        return OnnxRuntimeSession(session, [out.name for out in bundle.manifest.io.model_outputs])

    def layers(self, bundle: Bundle, variant: Variant, inputs: Tensors) -> tuple[LayerFacts, ...]:
        """Return what is executed, as the profile of one inference says."""
        from insight_edge.runtime.engines import onnxruntime_insides  # nobody who serves asks

        options = _options(variant, 1)
        entry = bundle.file(variant.entry)
        return onnxruntime_insides.layers(entry, options, _providers(variant), inputs)

    def tensors(
        self, bundle: Bundle, variant: Variant, inputs: Tensors, wanted: Wanted
    ) -> dict[str, NDArray[Any]]:
        """Return tensors inside, by the source model's names."""
        from insight_edge.runtime.engines import onnxruntime_insides  # nobody who serves asks

        options = _options(variant, 1)
        entry = bundle.file(variant.entry)
        return onnxruntime_insides.tensors(entry, options, _providers(variant), inputs, wanted)


class OnnxRuntimeSession:
    """One loaded file; `run` may be called from several threads at once."""

    __slots__ = ("_names", "_run")

    def __init__(self, session: Any, names: list[str]) -> None:
        # The raw session's method: the Python class around it checks inputs a second time.
        self._run = session._sess.run  # noqa: SLF001 (over a microsecond of every inference)
        self._names = names

    def infer(self, inputs: Tensors) -> dict[str, NDArray[Any]]:
        """Return the model outputs; the arrays are new with every call."""
        names = self._names
        return dict(zip(names, self._run(names, inputs, None), strict=True))

    def close(self) -> None:
        """Drop the session; its memory goes with it."""
        self._run = None


def _options(variant: Variant, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = ERRORS_ONLY
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if variant.settings.get("optimized") == "yes":
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return options


def _providers(variant: Variant) -> list[str]:
    return [CUDA, CPU] if variant.settings.get("provider") == "cuda" else [CPU]


def _refuse_other(provider: str, found: list[str]) -> None:
    if provider not in found:
        raise RuntimeError(f"ONNX Runtime cannot use {provider} on this machine")


def _precisions() -> tuple[str, ...]:
    isa = isa_extensions()
    quick = {"avx2", "avx_vnni", "avx512_vnni", "asimddp"} & set(isa)
    return ("fp32", "int8") if quick else ("fp32",)
