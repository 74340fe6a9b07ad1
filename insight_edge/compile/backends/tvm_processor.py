# SPDX-License-Identifier: Apache-2.0
"""Which processor LLVM compiles for, and what links the result.

Pure. Code is for the plainest processor of an architecture plus the extensions
that the job names: never for what this machine happens to have.
"""

import platform
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """What LLVM and Debian call an architecture.

    Attributes:
        triple: of LLVM and of the cross compiler.
        cpu: the plainest processor of it.
        package: of Debian, that has the cross compiler.
        features: LLVM's names by Linux's, of extensions that compiled networks gain from.
        machine: of LLVM's triple, where that says more than the cross compiler's.
        options: that TVM needs besides.
        runtime: somebody publishes TVM's runtime for it.
    """

    triple: str
    cpu: str
    package: str
    features: dict[str, str]
    machine: str = ""
    options: dict[str, object] = field(default_factory=dict)
    runtime: bool = True


_AVX512 = "avx512f"

ARCHITECTURES = {
    "x86_64": Architecture(
        triple="x86_64-linux-gnu",
        cpu="x86-64",
        package="gcc-x86-64-linux-gnu",
        features={
            "ssse3": "ssse3",
            "sse4_1": "sse4.1",
            "sse4_2": "sse4.2",
            "avx": "avx",
            "f16c": "f16c",
            "fma": "fma",
            "avx2": "avx2",
            _AVX512: _AVX512,
            "avx512bw": "avx512bw",
            "avx512cd": "avx512cd",
            "avx512dq": "avx512dq",
            "avx512vl": "avx512vl",
        },
    ),
    "aarch64": Architecture(
        triple="aarch64-linux-gnu",
        cpu="generic",
        package="gcc-aarch64-linux-gnu",
        features={"asimd": "neon"},
    ),
    "armv7l": Architecture(
        triple="arm-linux-gnueabihf",
        cpu="generic",
        package="gcc-arm-linux-gnueabihf",
        features={"neon": "neon", "vfpv3": "vfp3", "vfpv4": "vfp4"},
        machine="armv7-linux-gnueabihf",
        options={"mfloat-abi": "hard"},
        runtime=False,
    ),
}
"""Extensions for half floats and bytes are of no use to FP32. Scalable vectors (SVE) are left
alone: what MetaSchedule lays out for them was not measured."""


def llvm_target(arch: str, isa: Sequence[str]) -> dict[str, object]:
    """Return TVM's description of a processor.

    Args:
        arch: as `uname -m` says, one of `ARCHITECTURES`.
        isa: extensions as Linux names them; those that LLVM has no use for are passed over.
    """
    known = ARCHITECTURES[arch]
    features = sorted({f"+{known.features[name]}" for name in demanded(arch, isa)})
    triple = known.machine or known.triple
    target: dict[str, object] = {"kind": "llvm", "mtriple": triple, "mcpu": known.cpu}
    target |= known.options
    return target | ({"mattr": features} if features else {})


def demanded(arch: str, isa: Sequence[str]) -> tuple[str, ...]:
    """Return which of the extensions the code may use, sorted.

    To LLVM any part of AVX-512 implies its foundation, so none is taken without that.
    """
    known = set(isa) & ARCHITECTURES[arch].features.keys()
    whole = _AVX512 in known
    return tuple(sorted(name for name in known if whole or not name.startswith("avx512")))


def linker(arch: str) -> str:
    """Return the command that links a shared library for an architecture of `ARCHITECTURES`."""
    if platform.machine() == arch:
        return "gcc"
    return f"{ARCHITECTURES[arch].triple}-gcc"
