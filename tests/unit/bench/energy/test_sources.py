# SPDX-License-Identifier: Apache-2.0
"""Sources of energy, each against a tree of files as its kernel driver shows them."""

from pathlib import Path
from typing import Any

import pytest

from insight_edge.bench.energy.hwmon import hwmon, ina3221
from insight_edge.bench.energy.nvml import LIBRARY, nvml
from insight_edge.bench.energy.rapl import rapl
from insight_edge.bench.energy.source import Absent, Counter, Power
from insight_edge.bench.energy.sources import energy_sources


def write(root: Path, **files: Any) -> None:
    root.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (root / name).write_text(f"{content}\n")


@pytest.fixture
def powercap(tmp_path: Path) -> Path:
    place = tmp_path / "sys/class/powercap"
    write(place / "intel-rapl:0", name="package-0", energy_uj=9_000_000, max_energy_range_uj=10**7)
    write(place / "intel-rapl:0:0", name="core", energy_uj=5_000_000, max_energy_range_uj=10**7)
    write(place / "intel-rapl:0:1", name="dram", energy_uj=1_000_000, max_energy_range_uj=10**7)
    write(place / "intel-rapl:1", name="psys", energy_uj=20_000_000, max_energy_range_uj=10**8)
    return place


def test_rapl_adds_packages_and_memory_and_no_parts_of_them(powercap: Path, tmp_path: Path) -> None:
    source = rapl(tmp_path)
    assert isinstance(source, Counter)
    assert source.name == "RAPL (package-0, dram)"
    assert source.joules(0) == 0
    write(powercap / "intel-rapl:0", energy_uj=9_500_000)
    write(powercap / "intel-rapl:0:0", energy_uj=5_400_000)
    write(powercap / "intel-rapl:0:1", energy_uj=1_250_000)
    assert source.joules(1) == pytest.approx(0.75)


def test_rapl_goes_on_where_its_register_begins_anew(powercap: Path, tmp_path: Path) -> None:
    source = rapl(tmp_path)
    assert isinstance(source, Counter)
    told = [source.joules(0)]
    for energy_uj in (9_900_000, 400_000, 9_000_000, 100_000):
        write(powercap / "intel-rapl:0", energy_uj=energy_uj)
        told.append(source.joules(0))
    assert told == pytest.approx([0, 0.9, 1.4, 10.0, 11.1])


def test_rapl_that_may_not_be_read_is_absent(powercap: Path, tmp_path: Path) -> None:
    (powercap / "intel-rapl:0" / "energy_uj").unlink()
    assert rapl(tmp_path) == Absent("RAPL", "its counters may be read by root alone")


def test_jetson_tells_the_rail_that_all_hang_on(tmp_path: Path) -> None:
    place = tmp_path / "sys/class/hwmon/hwmon3"
    write(
        place,
        name="ina3221",
        in1_label="VDD_IN", in1_input=5000, curr1_input=2000,
        in2_label="VDD_CPU_GPU_CV", in2_input=5000, curr2_input=800,
        in4_label="Sum of shunt voltages", in4_input=7,
    )  # fmt: skip
    source = ina3221(tmp_path)
    assert isinstance(source, Power)
    assert source.name == "Jetson INA3221 (VDD_IN)"
    assert source.joules(10.0) == 0
    write(place, curr1_input=4000)
    assert source.joules(12.0) == pytest.approx(2 * (10 + 20) / 2)


def test_rails_are_added_up_where_none_is_the_whole(tmp_path: Path) -> None:
    place = tmp_path / "sys/class/hwmon/hwmon0"
    write(place, name="ina3221", in1_input=5000, curr1_input=1000, in2_input=1000, curr2_input=500)
    source = ina3221(tmp_path)
    assert isinstance(source, Power)
    assert source.name == "Jetson INA3221 (rail 1, rail 2)"
    source.joules(0.0)
    assert source.joules(1.0) == pytest.approx(5.5)


def test_hwmon_prefers_what_counts_energy(tmp_path: Path) -> None:
    write(tmp_path / "sys/class/hwmon/hwmon0", name="nvme", temp1_input=40000)
    write(tmp_path / "sys/class/hwmon/hwmon1", name="board", power1_input=2_500_000)
    found = hwmon(tmp_path)
    assert isinstance(found, Power)
    assert found.name == "hwmon board (power1_input)"
    found.joules(0.0)
    assert found.joules(2.0) == pytest.approx(5)
    energy = {"energy1_label": "socket", "energy1_input": 1_000_000}
    write(tmp_path / "sys/class/hwmon/hwmon2", name="amd_energy", **energy)
    counted = hwmon(tmp_path)
    assert isinstance(counted, Counter)
    assert counted.name == "hwmon amd_energy (socket)"


class Library:
    """NVML of two cards; functions answer 0 and write where they are told to."""

    def __init__(self, *, cards: int = 2, energy: bool = True, power: bool = True) -> None:
        self._cards, self._energy, self._power = cards, energy, power
        self.millijoules = 1000

    def nvmlInit_v2(self) -> int:  # noqa: N802 (NVIDIA's names)
        return 0 if self._cards >= 0 else 9

    def nvmlDeviceGetCount_v2(self, count: Any) -> int:  # noqa: N802
        count._obj.value = self._cards
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, index: int, card: Any) -> int:  # noqa: N802
        card._obj.value = index + 1
        return 0

    def nvmlDeviceGetTotalEnergyConsumption(self, card: Any, value: Any) -> int:  # noqa: N802
        value._obj.value = self.millijoules * card.value
        return 0 if self._energy else 3

    def nvmlDeviceGetPowerUsage(self, card: Any, value: Any) -> int:  # noqa: N802
        value._obj.value = 30_000 * card.value
        return 0 if self._power else 3


def test_cards_count_their_energy() -> None:
    library = Library()
    source = nvml(lambda name: {LIBRARY: library}[name])
    assert isinstance(source, Counter)
    assert source.name == "NVML (2 cards)"
    source.joules(0.0)
    library.millijoules = 1500
    assert source.joules(1.0) == pytest.approx(0.5 * (1 + 2))


def test_power_of_older_cards_is_added_up() -> None:
    source = nvml(lambda _: Library(cards=1, energy=False))
    assert isinstance(source, Power)
    source.joules(0.0)
    assert source.joules(2.0) == pytest.approx(60)


def test_absent_cards_say_why() -> None:
    def missing(_: str) -> Any:
        raise OSError

    assert nvml(missing) == Absent("NVML", "no libnvidia-ml.so.1")
    assert nvml(lambda _: Library(cards=-1)) == Absent("NVML", "the driver does not answer")
    assert nvml(lambda _: Library(cards=0)) == Absent("NVML", "no card")
    silent = nvml(lambda _: Library(energy=False, power=False))
    assert silent == Absent("NVML", "its cards tell neither energy nor power")


def test_machine_without_sources_says_what_was_looked_for(tmp_path: Path) -> None:
    found, absent = energy_sources(tmp_path)
    assert {one.name for one in absent} >= {"RAPL", "Jetson INA3221", "hwmon"}
    assert all(one.name.startswith("NVML") for one in found)
