# SPDX-License-Identifier: Apache-2.0
"""The names of Arm cores, which Linux tells by number only.

Names are those that `lscpu` prints, so that facts and hardware profiles agree.
Source: Main ID Register of each core's technical reference manual.
"""

from collections.abc import Iterable

_ARM, _NVIDIA = 0x41, 0x4E

_CORES = {
    (_ARM, 0xD03): "Cortex-A53",
    (_ARM, 0xD04): "Cortex-A35",
    (_ARM, 0xD05): "Cortex-A55",
    (_ARM, 0xD07): "Cortex-A57",
    (_ARM, 0xD08): "Cortex-A72",
    (_ARM, 0xD09): "Cortex-A73",
    (_ARM, 0xD0A): "Cortex-A75",
    (_ARM, 0xD0B): "Cortex-A76",
    (_ARM, 0xD0C): "Neoverse-N1",
    (_ARM, 0xD0D): "Cortex-A77",
    (_ARM, 0xD0E): "Cortex-A76AE",
    (_ARM, 0xD40): "Neoverse-V1",
    (_ARM, 0xD41): "Cortex-A78",
    (_ARM, 0xD42): "Cortex-A78AE",
    (_ARM, 0xD44): "Cortex-X1",
    (_ARM, 0xD46): "Cortex-A510",
    (_ARM, 0xD47): "Cortex-A710",
    (_ARM, 0xD49): "Neoverse-N2",
    (_ARM, 0xD4B): "Cortex-A78C",
    (_ARM, 0xD4D): "Cortex-A715",
    (_ARM, 0xD4F): "Neoverse-V2",
    (_ARM, 0xD80): "Cortex-A520",
    (_ARM, 0xD81): "Cortex-A720",
    (_NVIDIA, 0x004): "Carmel",
}


def arm_model(fields: Iterable[tuple[str, str]]) -> str | None:
    """Return the cores in the fields of `/proc/cpuinfo`, None where one is not known.

    Unlike cores are all named, in the order of their processors.
    """
    names: dict[str | None, None] = {}
    implementer = -1
    for key, value in fields:
        if key == "CPU implementer":
            implementer = _number(value)
        elif key == "CPU part":
            names[_CORES.get((implementer, _number(value)))] = None
    known = [name for name in names if name is not None]
    return " + ".join(known) if known and len(known) == len(names) else None


def arm_part(model: str) -> tuple[int, int] | None:
    """Return implementer and part of the first core that `arm_model` calls by this name."""
    first = model.partition(" + ")[0]
    return next((numbers for numbers, name in _CORES.items() if name == first), None)


def _number(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        return -1
