# SPDX-License-Identifier: Apache-2.0
"""Facts of machines as their kernels tell them; lines abridged from the boards named."""

import os
import platform
from pathlib import Path

import pytest

from insight_edge.bench.arm import arm_model
from insight_edge.bench.machine import machine_facts
from insight_edge.compile.profiles.reading import shipped_profiles
from insight_edge.documents.facts import EngineFacts, Missing

GIB = 2**30


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def arm_cpuinfo(*parts: int, implementer: int = 0x41, tail: str = "") -> str:
    processors = [
        f"processor\t: {index}\nFeatures\t: fp asimd asimdhp asimddp\n"
        f"CPU implementer\t: {implementer:#04x}\nCPU part\t: {part:#05x}\n\n"
        for index, part in enumerate(parts)
    ]
    return "".join(processors) + tail


@pytest.mark.parametrize(
    ("profile", "parts"),
    [
        ("imx8mm-evk", [0xD03] * 4),
        ("rpi4-4gb", [0xD08] * 4),
        ("rpi5-8gb", [0xD0B] * 4),
        ("orin-nano-8gb", [0xD42] * 6),
        ("agx-orin-64gb", [0xD42] * 12),
        ("ec2-c7g-large", [0xD40] * 2),
    ],
)
def test_cpu_of_an_arm_machine_is_the_one_of_its_profile(
    profile: str, parts: list[int], tmp_path: Path
) -> None:
    write(tmp_path, "proc/cpuinfo", arm_cpuinfo(*parts, tail="Model\t\t: Some Board Rev 1.1\n"))
    assert machine_facts(root=tmp_path).cpu_model == shipped_profiles()[profile].cpu.model.value


def test_unlike_cores_are_all_named(tmp_path: Path) -> None:
    write(tmp_path, "proc/cpuinfo", arm_cpuinfo(0xD05, 0xD05, 0xD0B, 0xD0B))
    assert machine_facts(root=tmp_path).cpu_model == "Cortex-A55 + Cortex-A76"


@pytest.mark.parametrize(
    ("implementer", "parts"), [(0x41, [0xFFF]), (0x99, [0xD03]), (0x41, [0xD03, 0xFFF])]
)
def test_unknown_core_is_named_by_its_board(
    implementer: int, parts: list[int], tmp_path: Path
) -> None:
    cpuinfo = arm_cpuinfo(*parts, implementer=implementer, tail="Hardware\t: Board\n")
    write(tmp_path, "proc/cpuinfo", cpuinfo)
    assert machine_facts(root=tmp_path).cpu_model == "Board"
    write(tmp_path, "proc/device-tree/model", "A Board of Tests\0")
    assert machine_facts(root=tmp_path).cpu_model == "A Board of Tests"


def test_part_that_is_no_number_is_unknown() -> None:
    assert arm_model([("CPU implementer", "arm"), ("CPU part", "?")]) is None
    assert arm_model([]) is None


def test_cpu_of_a_pc_is_its_model_name(tmp_path: Path) -> None:
    write(tmp_path, "proc/cpuinfo", "model name\t: Intel(R) N100\nflags\t\t: avx2 fma\n" * 2)
    facts = machine_facts(root=tmp_path)
    assert (facts.cpu_model, facts.isa) == ("Intel(R) N100", ("avx2", "fma"))


@pytest.mark.parametrize("profile", ["orin-nano-8gb", "agx-orin-64gb"])
def test_integrated_gpu_is_the_one_of_its_profile(profile: str, tmp_path: Path) -> None:
    compatible = "nvidia,p3768-0000+p3767-0005\0nvidia,p3767-0005\0nvidia,tegra234\0"
    write(tmp_path, "proc/device-tree/compatible", compatible)
    (accelerator,) = shipped_profiles()[profile].accelerators
    assert machine_facts(root=tmp_path).accelerators == (accelerator.model.value,)


def test_card_is_the_one_that_its_driver_names(tmp_path: Path) -> None:
    for bus in ("0000:41:00.0", "0000:01:00.0"):
        place = f"proc/driver/nvidia/gpus/{bus}/information"
        write(tmp_path, place, f"Model: \t\t NVIDIA H200\nIRQ: 1\nBus Location: {bus}\n")
    assert machine_facts(root=tmp_path).accelerators == ("NVIDIA H200", "NVIDIA H200")


def test_memory_is_the_least_of_machine_and_cgroup(tmp_path: Path) -> None:
    write(tmp_path, "proc/meminfo", f"MemTotal: {8 * GIB // 1024} kB\nMemFree: 1 kB\n")
    assert machine_facts(root=tmp_path).memory_bytes == 8 * GIB
    write(tmp_path, "sys/fs/cgroup/memory.max", f"{2 * GIB}\n")
    assert machine_facts(root=tmp_path).memory_bytes == 2 * GIB


def test_system_is_named_with_its_kernel(tmp_path: Path) -> None:
    write(tmp_path, "etc/os-release", 'ID=debian\nPRETTY_NAME="Debian GNU/Linux 12"\n')
    release = os.uname().release
    assert machine_facts(root=tmp_path).os == f"Debian GNU/Linux 12, kernel {release}"


def test_machine_that_tells_nothing_still_has_facts(tmp_path: Path) -> None:
    facts = machine_facts(root=tmp_path)
    assert (facts.cpu_model, facts.isa, facts.memory_bytes) == ("unknown", (), 0)
    assert facts.accelerators == ()


def test_engines_that_are_missing_are_left_out(tmp_path: Path) -> None:
    found = EngineFacts(name="a", version="1")
    facts = machine_facts({"a": found, "b": Missing(name="b", reason="none")}, root=tmp_path)
    assert facts.engines == {"a": found}


def test_facts_of_this_machine_are_plausible() -> None:
    facts = machine_facts()
    assert facts.arch == platform.machine()
    assert 1 <= facts.cores <= (os.cpu_count() or 1)
    assert facts.memory_bytes > 2**28
    assert facts.isa
    assert facts.cpu_model != "unknown"
