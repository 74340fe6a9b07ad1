# SPDX-License-Identifier: Apache-2.0
"""TVM: ONNX through relax and LLVM to a shared library, for x86-64, aarch64 and armv7.

Without tuning its code is plain loops, twenty times slower than other engines'
and not worth shipping: the artifact says that it is unfinished. What tuning
finds is kept and shared by all builds (`tvm_tuning`). For armv7 there is no runtime: the
artifact has a program in C++ beside it that loads it, and is not shipped. The toolchain has an
environment of its own; this module imports none of it before `build`.
"""

import shutil
from pathlib import Path

from insight_edge.compile.backends.tvm_operators import unknown_operators
from insight_edge.compile.backends.tvm_processor import ARCHITECTURES, linker
from insight_edge.compile.job import Artifact, BuildJob
from insight_edge.compile.sources.source import SourceModel
from insight_edge.compile.toolchains.toolchain import Toolchain, toolchain_apart
from insight_edge.documents.facts import Missing
from insight_edge.documents.profile import HardwareProfile
from insight_edge.documents.target import Target

ENGINE = "tvm"
PACKAGES = ("apache-tvm", "apache-tvm-ffi", "numpy", "onnx", "onnxruntime", "xgboost-cpu")


class TvmBackend:
    """Builds for the engine `tvm`."""

    def toolchain(self) -> Toolchain | Missing:
        """Return the environment of TVM, or what of it or of the linker is not installed."""
        if shutil.which("gcc") is None:
            return Missing(name=ENGINE, reason="gcc is not installed (apt-get install gcc)")
        return toolchain_apart(ENGINE, PACKAGES)

    def targets(self) -> tuple[Target, ...]:
        """Return FP32; what TVM makes of lower precisions was not measured."""
        return (Target(backend=ENGINE, precision="fp32"),)

    def tunes(self, target: Target) -> bool:  # noqa: ARG002 (there is one target)
        """Return True: what is built gets faster the longer it is tuned."""
        return True

    def refuse(self, source: SourceModel, target: Target, profile: HardwareProfile) -> str | None:  # noqa: ARG002 (there is one target)
        """Return why there is no code for the processor, or the model cannot be read."""
        arch = profile.cpu.arch
        if arch not in ARCHITECTURES:
            return f"TVM is not set up to compile for {arch}"
        if shutil.which(linker(arch)) is None:
            package = ARCHITECTURES[arch].package
            return f"linking for {arch} needs {linker(arch)} (apt-get install {package})"
        return unknown_operators(source.workload)

    def build(self, job: BuildJob, directory: Path) -> Artifact:
        """Write the artifact of a job."""
        from insight_edge.compile.backends.tvm_library import build_library

        return build_library(job, directory)
