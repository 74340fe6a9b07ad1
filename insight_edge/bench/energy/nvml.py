# SPDX-License-Identifier: Apache-2.0
"""Energy of NVIDIA cards, from the library that their driver brings (NVML).

Cards count millijoules since Volta; for older ones, power is added up. Names of functions are
those of NVIDIA's NVML API reference.
"""

import ctypes
from collections.abc import Callable
from typing import Any

from insight_edge.bench.energy.source import Absent, Counter, Power

NAME = "NVML"
LIBRARY = "libnvidia-ml.so.1"

Load = Callable[[str], Any]
Function = Callable[..., int]
Size = type[ctypes.c_uint] | type[ctypes.c_ulonglong]


def nvml(load: Load = ctypes.CDLL) -> Counter | Power | Absent:
    """Return the energy, or the power, of all cards."""
    try:
        library = load(LIBRARY)
    except OSError:
        return Absent(NAME, f"no {LIBRARY}")
    if library.nvmlInit_v2() != 0:
        return Absent(NAME, "the driver does not answer")
    cards = _cards(library)
    if not cards:
        return Absent(NAME, "no card")
    name = f"{NAME} ({len(cards)} card{'s' * (len(cards) > 1)})"
    for kind, function_name, size in (
        (Counter, "nvmlDeviceGetTotalEnergyConsumption", ctypes.c_ulonglong),
        (Power, "nvmlDeviceGetPowerUsage", ctypes.c_uint),
    ):
        function = getattr(library, function_name, None)
        if function and all(_read(function, card, size) is not None for card in cards):
            return kind(name, _sum(function, cards, size))
    return Absent(NAME, "its cards tell neither energy nor power")


def _cards(library: Any) -> list[ctypes.c_void_p]:
    count = ctypes.c_uint()
    if library.nvmlDeviceGetCount_v2(ctypes.byref(count)) != 0:
        return []
    cards = [ctypes.c_void_p() for _ in range(count.value)]
    return [
        card
        for index, card in enumerate(cards)
        if library.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(card)) == 0
    ]


def _read(function: Function, card: ctypes.c_void_p, size: Size) -> int | None:
    value = size()
    return int(value.value) if function(card, ctypes.byref(value)) == 0 else None


def _sum(function: Function, cards: list[ctypes.c_void_p], size: Size) -> Callable[[], float]:
    """Return what reads all cards: the library tells millijoules, and milliwatts."""
    return lambda: sum(_read(function, card, size) or 0 for card in cards) / 1e3
