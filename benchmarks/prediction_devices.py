# SPDX-License-Identifier: Apache-2.0
"""Stand-ins for devices: this machine, held back in ways that its owner can state.

By the processors it may use, the vector instructions that OpenVINO may (oneDNN's
`ONEDNN_MAX_CPU_ISA`; other engines do not heed it), a quota of processor time
(control groups, version 1 or 2), and the precision. What a stand-in does at most is
arithmetic on the clock, as for any profile: a quota takes its share of everything.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from insight_edge.documents.profile import (
    Caches,
    Cpu,
    Dram,
    EngineSupport,
    Figure,
    HardwareProfile,
    Source,
)
from insight_edge.documents.target import Precision, Target

PERIOD_US = 8000
GROUPS = (Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup"))
"""Where control groups lie, of version 1 and of version 2."""

ISA = {
    "AVX512": ("avx", "avx2", "fma", "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_bf16"),
    "AVX2": ("avx", "avx2", "fma"),
}

CLOCK_HZ = 4.1e9
"""Most that an AMD EPYC of family 26 (Zen 5) clocks at; the machine itself does not tell."""

CORE_BANDWIDTH = 40e9
"""Bytes a second that one such core fetches; half of a machine's is not had by one core."""

L2_BYTES, L3_BYTES = 1 << 20, 32 << 20


@dataclass(frozen=True, kw_only=True)
class StandIn:
    """One way to hold this machine back.

    Attributes:
        cores: that it may use, as many threads infer.
        isa: a key of `ISA`.
        quota: share of the processors' time that it may use.
        precision: that is computed in.
    """

    id: str
    cores: int = 1
    isa: str = "AVX512"
    quota: float = 1.0
    precision: Precision = "fp32"

    @property
    def target(self) -> Target:
        """What is timed there."""
        return Target(backend="openvino", precision=self.precision)

    @property
    def environment(self) -> dict[str, str]:
        """Variables of the process that is timed."""
        return {"ONEDNN_MAX_CPU_ISA": "ALL" if self.isa == "AVX512" else self.isa}

    def profile(self, price_usd: Figure[float] | None = None) -> HardwareProfile:
        """Return it as a profile."""
        share = self.quota

        def figure(value: float) -> Figure[float]:
            return Figure(value=value, source="arithmetic")

        return HardwareProfile(
            id=self.id,
            name=f"{self.cores} x Zen 5, {self.isa}, {self.quota:.0%}, {self.precision}",
            threads=self.cores,
            cpu=Cpu(
                arch="x86_64",
                model=Figure(value="AMD EPYC", source="arithmetic"),
                isa=Figure(value=ISA[self.isa], source="arithmetic"),
                cores=Figure(value=self.cores, source="arithmetic"),
                clock_hz=figure(CLOCK_HZ * share),
                caches=Caches(
                    l2_bytes=Figure(value=L2_BYTES, source="arithmetic"),
                    l3_bytes=Figure(value=L3_BYTES, source="arithmetic"),
                ),
            ),
            dram=Dram(
                length_bytes=Figure(value=2**32, source="arithmetic"),
                bandwidth_bytes_per_s=figure(CORE_BANDWIDTH * self.cores * share),
            ),
            price_usd=price_usd,
            engines={"openvino": EngineSupport(precisions=(self.precision,))},
            sources={"arithmetic": Source(address="detected", date="2026-11-22")},
        )


STAND_INS = (
    StandIn(id="one"),
    StandIn(id="one-avx2", isa="AVX2"),
    StandIn(id="one-third", quota=0.35),
    StandIn(id="one-sixth", quota=0.15),
    StandIn(id="avx2-quarter", isa="AVX2", quota=0.25),
    StandIn(id="one-bf16", precision="bf16"),
    StandIn(id="bf16-third", quota=0.35, precision="bf16"),
    StandIn(id="two", cores=2),
)
"""Those that are told apart from all before them count as devices, in this order."""


@contextmanager
def quota(share: float, cores: int) -> Iterator[str]:
    """Yield the file that a process joins to have a share of the processors' time; empty for all.

    Raises:
        OSError: this process may not make control groups.
    """
    if share >= 1:
        yield ""
        return
    group = next(place for place in GROUPS if place.is_dir()) / f"insight-edge-{os.getpid()}"
    group.mkdir()
    try:
        limit_us = round(PERIOD_US * share * cores)
        if (group / "cpu.max").exists():
            (group / "cpu.max").write_text(f"{limit_us} {PERIOD_US}")
        else:
            (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (group / "cpu.cfs_quota_us").write_text(str(limit_us))
        yield str(group / "cgroup.procs")
    finally:
        group.rmdir()
