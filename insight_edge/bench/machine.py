# SPDX-License-Identifier: Apache-2.0
"""The facts of this machine, as far as this process may use it.

Engines are asked by whoever passes their facts in; nothing is measured here.
"""

import os
import platform
from collections.abc import Mapping
from pathlib import Path

from insight_edge.bench.arm import arm_model
from insight_edge.documents.facts import EngineFacts, Facts, Missing
from insight_edge.runtime.cgroup import ROOT, memory_limit_bytes, read_text
from insight_edge.runtime.processor import cpuinfo_fields, isa_extensions, usable_threads

_BOARD_KEYS = ("Model", "Hardware")

_INTEGRATED = {"nvidia,tegra234": "Orin (nvgpu)"}
"""GPUs without a card, by what their board's device tree is compatible with; named as by their
driver."""


def machine_facts(
    engines: Mapping[str, EngineFacts | Missing] | None = None, root: Path = ROOT
) -> Facts:
    """Return what is true of this machine now.

    Args:
        engines: what `runtime.loading.engine_facts` found; those that are missing are left out.
        root: where `/proc` and `/sys` are looked for.
    """
    found = {name: fact for name, fact in (engines or {}).items() if isinstance(fact, EngineFacts)}
    return Facts(
        arch=platform.machine(),
        cpu_model=_cpu_model(root),
        isa=isa_extensions(root),
        cores=usable_threads(root),
        memory_bytes=_memory_bytes(root),
        os=_os_name(root),
        accelerators=_accelerators(root),
        engines=found,
    )


def _cpu_model(root: Path) -> str:
    """Return the processor as `lscpu` names it; the board where it has no name."""
    fields = cpuinfo_fields(root)
    first = dict(reversed(fields))
    board = [first.get(key) for key in _BOARD_KEYS]
    named = (arm_model(fields), first.get("model name"), *_device_tree(root, "model"), *board)
    return next(filter(None, named), "unknown")


def _memory_bytes(root: Path) -> int:
    lines = (read_text(root / "proc/meminfo") or "").splitlines()
    kib = [int(line.split()[1]) for line in lines if line.startswith("MemTotal:")]
    machine = kib[0] * 1024 if kib else 0
    limit = memory_limit_bytes(root)
    return machine if limit is None else min(machine, limit)


def _os_name(root: Path) -> str:
    lines = (read_text(root / "etc/os-release") or "").splitlines()
    pairs = dict(line.partition("=")[::2] for line in lines)
    name = pairs.get("PRETTY_NAME", "").strip('"') or "Linux"
    return f"{name}, kernel {os.uname().release}"


def _accelerators(root: Path) -> tuple[str, ...]:
    """Return the models of NVIDIA GPUs: cards from their driver, integrated ones from the board."""
    cards = sorted((root / "proc/driver/nvidia/gpus").glob("*/information"))
    lines = [line for card in cards for line in (read_text(card) or "").splitlines()]
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("Model:")]
    board = _device_tree(root, "compatible")
    return (*models, *(model for name, model in _INTEGRATED.items() if name in board))


def _device_tree(root: Path, name: str) -> list[str]:
    """Return the strings of a property of the board; none where there is no device tree."""
    return (read_text(root / "proc/device-tree" / name) or "").split("\0")
