# SPDX-License-Identifier: Apache-2.0
"""Workloads and profiles as small as a choice of hardware needs them."""

from typing import Any

from insight_edge.documents.profile import (
    Caches,
    Cpu,
    Dram,
    EngineSupport,
    Figure,
    HardwareProfile,
    PowerMode,
    Source,
)
from insight_edge.documents.workload import Operation, Workload


def figure(value: Any) -> Figure[Any]:
    return Figure(value=value, source="maker")


def board(  # noqa: PLR0913 - what differs between devices
    name: str = "board",
    *,
    clock_hz: float | None = 2e9,
    bandwidth: float | None = 1e10,
    peak: float | None = None,
    cores: int = 4,
    price: float | None = None,
    power: float | None = None,
    arch: str = "aarch64",
    form: str | None = None,
) -> HardwareProfile:
    return HardwareProfile(
        id=name,
        name=name,
        form_factor=None if form is None else figure(form),
        cpu=Cpu(
            arch=arch,
            model=figure("a core"),
            isa=figure(("asimd",)),
            cores=figure(cores),
            clock_hz=None if clock_hz is None else figure(clock_hz),
            caches=Caches(l3_bytes=figure(1 << 20)),
        ),
        dram=Dram(
            length_bytes=figure(4 << 30),
            bandwidth_bytes_per_s=None if bandwidth is None else figure(bandwidth),
        ),
        peak_ops_per_s={} if peak is None else {"fp32": figure(peak)},
        price_usd=None if price is None else figure(price),
        power_modes=() if power is None else (PowerMode(name="full", power_w=figure(power)),),
        engines={"onnxruntime": EngineSupport(precisions=("fp32", "int8"))},
        sources={"maker": Source(address="https://example.org", date="2026-01-01")},
    )


def operation(op: str = "Conv", *, flops: int = 10**7, weights: int = 10**5) -> Operation:
    return Operation(
        name=op,
        op=op,
        flops=flops,
        read_bytes=weights + 10**5,
        written_bytes=10**5,
        parameter_bytes=weights,
    )


def workload(*operations: Operation, **changes: Any) -> Workload:
    made = operations or (operation(), operation("Gemm", weights=3 << 20), operation("Softmax"))
    said: dict[str, Any] = {
        "model_digest": "sha256:" + "0" * 64,
        "opset": 17,
        "inputs": (),
        "outputs": (),
        "operations": made,
        "flops": sum(one.flops for one in made),
        "parameter_bytes": sum(one.parameter_bytes for one in made),
        "peak_live_bytes": 10**6,
    }
    return Workload(**(said | changes))
