# SPDX-License-Identifier: Apache-2.0
"""Which processor LLVM compiles for, and what links the result.

Pure. Code is for the plainest processor of an architecture plus the extensions
that the job names: never for what this machine happens to have.
"""

import platform
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """What LLVM and Debian call an architecture.

    Attributes:
        triple: of LLVM and of the cross compiler.
        cpu: the plainest processor of it.
        package: of Debian, that has the cross compiler.
        features: LLVM's names by Linux's, of extensions that compiled networks gain from.
    """

    triple: str
    cpu: str
    package: str
    features: dict[str, str]


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
    target: dict[str, object] = {"kind": "llvm", "mtriple": known.triple, "mcpu": known.cpu}
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
