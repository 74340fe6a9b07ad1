# SPDX-License-Identifier: Apache-2.0
"""Energy and power of sensors that Linux shows as `hwmon`, those of a Jetson among them.

A Jetson's INA3221 tells the voltage and the current of each rail; `VDD_IN` is what the module
takes in all, and rails are added up where it is not named.
"""

from collections.abc import Callable
from pathlib import Path

from insight_edge.bench.energy.source import Absent, Counter, Power
from insight_edge.runtime.cgroup import ROOT, read_text

_WHOLE = ("VDD_IN", "POM_5V_IN")
"""Rails of Jetsons that all others hang on: of Orin and Xavier NX, of Nano and TX2."""


def ina3221(root: Path = ROOT) -> Power | Absent:
    """Return the power that a Jetson's module takes."""
    name = "Jetson INA3221"
    rails = [rail for place in _chips(root, "ina3221") for rail in _rails(place)]
    whole = [rail for rail in rails if rail[0] in _WHOLE]
    if not rails:
        return Absent(name, "no ina3221 in /sys/class/hwmon")
    chosen = whole or rails
    told = ", ".join(label for label, _ in chosen)
    return Power(f"{name} ({told})", lambda: sum(read_w() for _, read_w in chosen))


def hwmon(root: Path = ROOT) -> Counter | Power | Absent:
    """Return the first sensor that counts energy, or else one that tells power."""
    places = _places(root)
    for place in places:
        for path in sorted(place.glob("energy*_input")):
            if _number(path) is not None:
                return Counter(_told(place, path), _reading(path, 1e-6))
    for place in places:
        for path in sorted([*place.glob("power*_average"), *place.glob("power*_input")]):
            if _number(path) is not None:
                return Power(_told(place, path), _reading(path, 1e-6))
    return Absent("hwmon", "no sensor of energy or power in /sys/class/hwmon")


def _places(root: Path) -> list[Path]:
    return sorted((root / "sys/class/hwmon").glob("hwmon*"))


def _chips(root: Path, name: str) -> list[Path]:
    return [place for place in _places(root) if read_text(place / "name") == name]


def _rails(place: Path) -> list[tuple[str, Callable[[], float]]]:
    """Return the rails of a chip that have a voltage and a current: name, and watts now."""
    found = []
    for volts in sorted(place.glob("in[0-9]*_input")):
        number = volts.name.removeprefix("in").removesuffix("_input")
        amperes = place / f"curr{number}_input"
        label = read_text(place / f"in{number}_label") or f"rail {number}"
        if _number(volts) is not None and _number(amperes) is not None:
            found.append((label, _product(volts, amperes)))
    return found


def _product(millivolts: Path, milliamperes: Path) -> Callable[[], float]:
    return lambda: (_number(millivolts) or 0) * (_number(milliamperes) or 0) / 1e6


def _reading(path: Path, unit: float) -> Callable[[], float]:
    return lambda: (_number(path) or 0) * unit


def _told(place: Path, path: Path) -> str:
    label = read_text(path.with_name(path.name.rpartition("_")[0] + "_label")) or path.name
    return f"hwmon {read_text(place / 'name') or place.name} ({label})"


def _number(path: Path) -> int | None:
    text = read_text(path) or ""
    return int(text) if text.isdigit() else None
