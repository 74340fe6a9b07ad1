# SPDX-License-Identifier: Apache-2.0
"""A hardware profile with as little in it as a test needs."""

from collections.abc import Mapping, Sequence

from insight_edge.documents.profile import (
    Accelerator,
    Cpu,
    Dram,
    EngineSupport,
    Figure,
    HardwareProfile,
    Source,
)
from insight_edge.documents.target import PRECISIONS, Precision

ALL_ENGINES: Mapping[str, Sequence[Precision]] = {
    "onnxruntime": PRECISIONS,
    "openvino": PRECISIONS,
    "tflite": PRECISIONS,
}


GPU = Accelerator(
    kind="gpu",
    model=Figure(value="NVIDIA GeForce RTX 4060", source="s"),
    compute_capability=Figure(value="8.9", source="s"),
)


def profile_of(
    *,
    isa: Sequence[str] = ("avx2",),
    arch: str = "x86_64",
    engines: Mapping[str, Sequence[Precision]] = ALL_ENGINES,
    accelerators: Sequence[Accelerator] = (),
) -> HardwareProfile:
    """Return a profile of two cores and 4 GiB."""
    return HardwareProfile(
        id="box",
        name="A box",
        cpu=Cpu(
            arch=arch,
            model=Figure(value="Some CPU", source="s"),
            isa=Figure(value=tuple(isa), source="s"),
            cores=Figure(value=2, source="s"),
        ),
        dram=Dram(length_bytes=Figure(value=4 * 2**30, source="s")),
        accelerators=tuple(accelerators),
        engines={name: EngineSupport(precisions=tuple(p)) for name, p in engines.items()},
        sources={"s": Source(address="https://example.org", date="2026-01-01")},
    )
