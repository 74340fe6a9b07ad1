# SPDX-License-Identifier: Apache-2.0
"""The engine `tensorrt`: plans of TensorRT-RTX or TensorRT on the first NVIDIA GPU.

Whether there is a GPU is asked of the driver: the libraries can be imported and
constructed without one and only log that they will not work. A plan is checked
against this GPU and this release before it is loaded, because loading one runs
what is in it. Each caller inside has an execution context of its own.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.bundle.open import Bundle
from insight_edge.documents.facts import EngineFacts, Missing
from insight_edge.documents.manifest import Variant
from insight_edge.runtime.cuda import Block, CudaError, Gpu, GpuFacts, Stream, gpu_facts
from insight_edge.runtime.engines.tensorrt_flavours import (
    CAPABILITIES_SETTING,
    FLAVOURS,
    SETTINGS,
    Flavour,
    flavour_of,
)
from insight_edge.runtime.installed import release

NAME = "tensorrt"
PRECISIONS = ("fp32", "fp16", "int8")
"""Every GPU that either flavour runs on computes in all of them."""

KEPT_MESSAGES = 32

Tensors = Mapping[str, NDArray[Any]]


class TensorRtEngine:
    """Loads `.plan` files."""

    def facts(self) -> EngineFacts | Missing:
        """Return the version of the flavour that runs on this GPU, or why none does."""
        try:
            gpu = gpu_facts()
        except CudaError as error:
            return Missing(name=NAME, reason=str(error))
        reasons = []
        for flavour in FLAVOURS:
            obstacle = _obstacle(flavour, gpu)
            found = release(flavour.distribution) if obstacle is None else None
            if found is not None:
                return EngineFacts(name=NAME, version=found, precisions=PRECISIONS)
            reasons.append(str(obstacle))
        return Missing(name=NAME, reason="; ".join(reasons))

    def load(self, bundle: Bundle, variant: Variant, *, threads: int) -> "TensorRtSession":
        """Return a session on the variant's plan, once it is seen to be for this GPU."""
        flavour = refuse_settings(variant.settings, gpu_facts().capability)
        names = [spec.name for spec in bundle.manifest.io.model_outputs]
        return open_plan(bundle.file(variant.entry), flavour, names, threads=threads)

    def cache_options(self, variant: Variant, *, threads: int) -> Iterable[str]:
        """Return what the driver says of the GPU."""
        del variant, threads
        return (str(gpu_facts()),)

    def load_cached(
        self, bundle: Bundle, variant: Variant, cache: bytes | None, *, threads: int
    ) -> "TensorRtSession":
        """Return a session whose kernels, as far as they are compiled here, are kept kernels."""
        session = self.load(bundle, variant, threads=threads)
        try:
            session.keep_kernels(cache)
        except BaseException:
            session.close()
            raise
        return session


def refuse_settings(settings: Mapping[str, str], capability: str) -> Flavour:
    """Return the flavour of an artifact that may be loaded on a GPU of a compute capability.

    Raises:
        ValueError: it was built for other GPUs, or its settings are not those of a plan.
    """
    strange = settings.keys() - SETTINGS
    if strange:
        raise ValueError(f"setting '{min(strange)}' is not one that a bundle may set")
    flavour = flavour_of(settings)
    built_for = settings.get(CAPABILITIES_SETTING, "")
    if capability not in built_for.split(","):
        raise ValueError(
            f"the plan is for compute capability {built_for or 'unknown'}, this GPU has "
            f"{capability}"
        )
    return flavour


def open_plan(
    plan: Path, flavour: Flavour, outputs: list[str], *, threads: int
) -> "TensorRtSession":
    """Return a session on a plan.

    Args:
        plan: the file.
        flavour: that built it.
        outputs: names of the model outputs wanted.
        threads: of the host that may prepare it.

    Raises:
        CudaError: the GPU cannot be used.
        ValueError: the header says that it cannot run here, or it does not load.
    """
    library, journal = _library(flavour)
    gpu = Gpu()
    try:
        with gpu.current():
            runtime = library.Runtime(journal)
            runtime.max_threads = threads
            _refuse_header(library, runtime, plan)
            engine = runtime.deserialize_cuda_engine(plan.read_bytes())
            _refuse_none(engine, flavour, journal)
            return TensorRtSession(gpu, engine, outputs, journal.last, library)
    except BaseException:
        gpu.release()
        raise


def runtime_config(engine: Any, cache: bytes | None) -> Any:
    """Return how contexts of a loaded plan are made such that kernels are kept.

    None where the flavour compiles nothing on the device.

    Raises:
        ValueError: kernels were handed in that are not for this machine.
    """
    config: Any = getattr(engine, "create_runtime_config", lambda: None)()
    if not hasattr(config, "create_runtime_cache"):
        return None
    kernels = config.create_runtime_cache()
    if cache is not None and not kernels.deserialize(cache):
        raise ValueError("the kernels that were kept are not for this machine")
    if not config.set_runtime_cache(kernels):
        raise ValueError("the library keeps no kernels")
    return config


def diagnosis(members: Mapping[str, Any], bits: int) -> str:
    """Return in words what a header check found: the names of the bits that are set."""
    found = [name for name, member in members.items() if bits & int(member.value)]
    return ", ".join(name.lower().replace("_", " ") for name in found) or "no reason given"


class TensorRtSession:
    """One loaded plan and a pool of lanes, one a caller inside."""

    __slots__ = ("_config", "_engine", "_gpu", "_inputs", "_lanes", "_last", "_library", "_outputs")

    def __init__(
        self, gpu: Gpu, engine: Any, outputs: list[str], last: Callable[[], str], library: Any
    ) -> None:
        self._gpu, self._engine, self._outputs = gpu, engine, outputs
        self._last, self._library = last, library
        modes = {name: engine.get_tensor_mode(name) for name in _tensor_names(engine)}
        self._inputs = [n for n, mode in modes.items() if mode == library.TensorIOMode.INPUT]
        self._config: Any = None
        self._lanes: deque[_Lane] = deque([self._lane()])

    def keep_kernels(self, cache: bytes | None) -> None:
        """Begin anew with kernels that were compiled before, and keep those that follow.

        Raises:
            ValueError: the kernels are for another GPU, driver or release, or damaged.
        """
        with self._gpu.current():
            self._config = runtime_config(self._engine, cache)
            if self._config is not None:
                self._lanes.pop().close()
                self._lanes.append(self._lane())

    def cache(self) -> bytes:
        """Return the kernels that were compiled here, nothing where all came with the plan."""
        if self._config is None:
            return b""
        with self._gpu.current():
            return bytes(self._config.get_runtime_cache().serialize())

    def infer(self, inputs: Tensors) -> dict[str, NDArray[Any]]:
        """Return the model outputs, in arrays that are new with every call."""
        with self._gpu.current():
            try:
                lane = self._lanes.pop()
            except IndexError:
                lane = self._lane()
            try:
                return lane.run({name: inputs[name] for name in self._inputs})
            finally:
                self._lanes.append(lane)

    def close(self) -> None:
        """Free the lanes, the engine and the hold on the GPU, in this order."""
        with self._gpu.current():
            while self._lanes:
                self._lanes.pop().close()
            self._config = self._engine = None
        self._gpu.release()

    def _lane(self) -> "_Lane":
        return _Lane(self._engine, self._config, self._outputs, self._last, self._library)


class _Lane:
    """An execution context, the stream it works on and the memory of its tensors."""

    def __init__(
        self,
        engine: Any,
        config: Any,
        outputs: list[str],
        last: Callable[[], str],
        library: Any,
    ) -> None:
        options = () if config is None else (config,)
        self._context = engine.create_execution_context(*options)
        if self._context is None:
            raise ValueError(f"no execution context: {last()}")
        self._last = last
        self._stream = Stream()
        host = library.TensorLocation.HOST
        names = _tensor_names(engine)
        self._on_host = {n for n in names if engine.get_tensor_location(n) == host}
        self._blocks = {name: Block() for name in names}
        self._dtypes = {n: np.dtype(library.nptype(engine.get_tensor_dtype(n))) for n in names}
        self._wanted = outputs
        self._outputs = [
            n for n in names if engine.get_tensor_mode(n) == library.TensorIOMode.OUTPUT
        ]

    def run(self, inputs: Tensors) -> dict[str, NDArray[Any]]:
        """Return the model outputs for model inputs."""
        # A copy that is under way does not keep the memory it reads.
        kept = {
            name: np.ascontiguousarray(array, self._dtypes[name]) for name, array in inputs.items()
        }
        for name, array in kept.items():
            self._feed(name, array)
        answers = {name: self._expect(name) for name in self._outputs}
        if not self._context.execute_async_v3(self._stream.handle):
            raise RuntimeError(f"the GPU did not run it: {self._last()}")
        for name, array in answers.items():
            address = self._blocks[name].at_least(array.nbytes)
            self._stream.fetch(array.ctypes.data, address, array.nbytes)
        self._stream.wait()
        return {name: answers[name] for name in self._wanted}

    def close(self) -> None:
        """Free all of it."""
        self._context = None
        self._stream.close()
        for block in self._blocks.values():
            block.close()

    def _feed(self, name: str, array: NDArray[Any]) -> None:
        if not self._context.set_input_shape(name, array.shape):
            raise ValueError(f"input '{name}' may not be {array.shape}: {self._last()}")
        if name in self._on_host:
            self._context.set_tensor_address(name, array.ctypes.data)
            return
        address = self._blocks[name].at_least(array.nbytes)
        self._stream.send(address, array.ctypes.data, array.nbytes)
        self._context.set_tensor_address(name, address)

    def _expect(self, name: str) -> NDArray[Any]:
        shape = tuple(self._context.get_tensor_shape(name))
        if any(size < 0 for size in shape):
            raise ValueError(f"the shape of output '{name}' depends on the values of the inputs")
        array = np.empty(shape, self._dtypes[name])
        self._context.set_tensor_address(name, self._blocks[name].at_least(array.nbytes))
        return array


def _obstacle(flavour: Flavour, gpu: GpuFacts) -> str | None:
    """Return why a flavour does not run on this GPU."""
    if not flavour.supports(gpu.capability):
        return f"{flavour.name} does not run on compute capability {gpu.capability}"
    if find_spec(flavour.module) is None:
        return f"the package {flavour.distribution} is not installed"
    if release(flavour.distribution) is None:
        return f"{flavour.module} is importable but not installed by pip"
    if gpu.cuda < flavour.cuda:
        found, wanted = (".".join(map(str, release)) for release in (gpu.cuda, flavour.cuda))
        return f"{flavour.name} needs a driver for CUDA {wanted}, this one is for {found}"
    return None


def _refuse_header(library: Any, runtime: Any, plan: Path) -> None:
    """Look at the first bytes of a plan, which the library vouches for without running it.

    Raises:
        ValueError: it cannot run here.
    """
    check = getattr(runtime, "get_engine_validity", None)
    if check is None:
        return
    with plan.open("rb") as file:
        header = file.read(runtime.engine_header_size)
    validity, bits = check(header)
    if validity == library.EngineValidity.INVALID:
        members = library.EngineInvalidityDiagnostics.__members__
        raise ValueError(f"the plan's header is not for this machine: {diagnosis(members, bits)}")


def _refuse_none(engine: Any, flavour: Flavour, journal: Any) -> None:
    if engine is None:
        raise ValueError(f"{flavour.name} did not take the plan: {journal.last()}")


def _tensor_names(engine: Any) -> list[str]:
    return [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]


@cache
def _library(flavour: Flavour) -> tuple[Any, Any]:
    """Return a flavour's library and the journal it writes to: a process has one for good."""
    library: Any = import_module(flavour.module)

    class Journal(library.ILogger):  # type: ignore[misc]  # known only when it is imported
        """Keeps the last errors, and prints nothing."""

        def __init__(self) -> None:
            library.ILogger.__init__(self)
            self._errors: deque[str] = deque(maxlen=KEPT_MESSAGES)

        def log(self, severity: Any, message: str) -> None:
            if severity in {self.INTERNAL_ERROR, self.ERROR}:
                self._errors.append(" ".join(message.split()))

        def last(self) -> str:
            return self._errors[-1] if self._errors else "it gave no reason"

    return library, Journal()
