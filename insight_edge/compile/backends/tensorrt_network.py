# SPDX-License-Identifier: Apache-2.0
"""From a graph to a plan: parse, bound what is free, name the GPUs, build.

A failure of TensorRT is a None, a False or nothing but a line in its log; here
each is an error with the parser's or the builder's own words. TensorRT-RTX times
nothing while it builds: its timing cache is documented to do nothing. TensorRT
times kernels on the GPU it builds on; which of them a plan has follows from the
times, which are read from and left in a file (`tensorrt_timings` pins them).
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from insight_edge.errors import BuildFailedError
from insight_edge.runtime.cuda import CudaError, gpu_facts
from insight_edge.runtime.engines.tensorrt_flavours import FULL, RTX, Flavour

MAX_BATCH = 128
"""Rows that a plan with a free batch takes at once, from 1 on; it is tuned for 1."""

FULL_IS_ELSEWHERE = (
    "TensorRT is not installed: tensorrt-cu13-libs is no package but a script that downloads "
    "from NVIDIA's own index; TensorRT-RTX is what installs from PyPI alone"
)


def flavour_for(capabilities: Sequence[str]) -> Flavour:
    """Return the flavour that builds for GPUs of these compute capabilities.

    Raises:
        BuildFailedError: no capability is named.
    """
    if not capabilities:
        raise BuildFailedError("the job names no compute capability to build for")
    return RTX if all(map(RTX.supports, capabilities)) else FULL


def release_of(flavour: Flavour) -> str:
    """Return the release of a flavour, without importing it.

    Raises:
        BuildFailedError: it is not installed.
    """
    try:
        return version(flavour.distribution)
    except PackageNotFoundError as error:
        raise BuildFailedError(_not_installed(flavour)) from error


def load_library(flavour: Flavour) -> Any:
    """Return the library of a flavour.

    Raises:
        BuildFailedError: it is not installed, or its own libraries are not.
    """
    try:
        return import_module(flavour.module)
    except ImportError as error:
        raise BuildFailedError(f"{_not_installed(flavour)} ({error})") from error


def _not_installed(flavour: Flavour) -> str:
    return FULL_IS_ELSEWHERE if flavour is FULL else f"{flavour.name} is not installed"


def write_plan(
    library: Any,
    flavour: Flavour,
    graph: bytes,
    capabilities: Sequence[str],
    plan: Path,
    timings: Path,
) -> None:
    """Write the plan of a graph for GPUs of these compute capabilities.

    Args:
        library: the module of the flavour.
        flavour: that builds it.
        graph: an ONNX model.
        capabilities: of the GPUs.
        plan: the file to write.
        timings: what was timed before, if that file is there; afterwards all that is known, where
            the flavour times anything.

    Raises:
        BuildFailedError: the graph cannot be parsed or built, with the reason that was given.
    """
    journal = _journal(library)
    builder = library.Builder(journal)
    # The order in which several threads finish is an order in the plan.
    builder.max_threads = 1
    network = builder.create_network(0)
    _parse(library, network, journal, graph)
    config = builder.create_builder_config()
    # Without this an "FP32" plan multiplies in 10-bit mantissas.
    config.clear_flag(library.BuilderFlag.TF32)
    _bound(builder, network, config)
    if flavour is RTX:
        _name_gpus(library, config, capabilities)
    else:
        _refuse_other_gpu(capabilities)
        _take_timings(config, timings)
    built = builder.build_serialized_network(network, config)
    if built is None:
        raise BuildFailedError(f"{flavour.name} built nothing: {journal.reason()}")
    if flavour is FULL:
        timings.write_bytes(bytes(config.get_timing_cache().serialize()))
    plan.write_bytes(built)


def _parse(library: Any, network: Any, journal: Any, graph: bytes) -> None:
    parser = library.OnnxParser(network, journal)
    if parser.parse(graph):
        return
    errors = [parser.get_error(index) for index in range(parser.num_errors)]
    said = "; ".join(map(_told, errors))
    raise BuildFailedError(f"the parser refused: {said or journal.reason()}")


def _told(error: Any) -> str:
    """Return a parser's error with the node that it is about, on one line."""
    words = f"{error.node_operator()} '{error.node_name()}' {error.desc()}"
    return " ".join(words.split())


def _bound(builder: Any, network: Any, config: Any) -> None:
    """Say how large the batch may be, where it is free."""
    profile = builder.create_optimization_profile()
    free = False
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        shape = tuple(tensor.shape)
        if -1 in shape:
            free = True
            least, most = (tuple(n if s < 0 else s for s in shape) for n in (1, MAX_BATCH))
            profile.set_shape(tensor.name, least, least, most)
    if free and config.add_optimization_profile(profile) < 0:
        raise BuildFailedError(f"a batch of 1 to {MAX_BATCH} does not fit the graph")


def _name_gpus(library: Any, config: Any, capabilities: Sequence[str]) -> None:
    config.num_compute_capabilities = len(capabilities)
    for index, capability in enumerate(capabilities):
        named = getattr(library.ComputeCapability, f"SM{capability.replace('.', '')}", None)
        if named is None or not config.set_compute_capability(named, index):
            raise BuildFailedError(f"compute capability {capability} cannot be built for")


def _refuse_other_gpu(capabilities: Sequence[str]) -> None:
    """Raise unless the GPU of this machine, for which TensorRT builds, is the one meant."""
    try:
        found = gpu_facts().capability
    except CudaError as error:
        raise BuildFailedError(f"TensorRT builds on the GPU itself: {error}") from error
    if tuple(capabilities) != (found,):
        raise BuildFailedError(
            f"TensorRT builds for the GPU at hand, compute capability {found}, "
            f"not for {', '.join(capabilities)}"
        )


def _take_timings(config: Any, timings: Path) -> None:
    """Let the builder look up what was timed before; times of another GPU it does not take."""
    known = timings.read_bytes() if timings.exists() else b""
    if not config.set_timing_cache(config.create_timing_cache(known), ignore_mismatch=False):
        sys.stdout.write("the timings are of another GPU, timing anew\n")
        config.set_timing_cache(config.create_timing_cache(b""), ignore_mismatch=False)


def _journal(library: Any) -> Any:
    """Return a logger that keeps errors and passes warnings on to the build's log."""

    class Journal(library.ILogger):  # type: ignore[misc]  # known only when it is imported
        def __init__(self) -> None:
            library.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            text = " ".join(message.split())
            if severity in {self.INTERNAL_ERROR, self.ERROR}:
                self.errors.append(text)
            if severity in {self.INTERNAL_ERROR, self.ERROR, self.WARNING}:
                sys.stdout.write(f"{text}\n")

        def reason(self) -> str:
            return "; ".join(self.errors) or "it gave no reason"

    return Journal()
