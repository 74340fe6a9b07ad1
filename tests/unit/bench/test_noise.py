# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
from pathlib import Path

import pytest

from insight_edge.bench.felt import Felt
from insight_edge.bench.noise import Reading, noise_between, read_noise
from insight_edge.bench.power_mode import power_mode

STAT = "cpu  100 0 50 800 10 1 2 40 7 3\ncpu0 50 0 25 400 5 0 1 20 3 1\n"


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def between(before: Reading, after: Reading, root: Path) -> float:
    return noise_between(before, after, felt=Felt(), round_spread=0, root=root).steal_share


def test_reading_adds_user_to_steal_and_leaves_guests_out(tmp_path: Path) -> None:
    write(tmp_path, "proc/stat", STAT)
    assert read_noise(tmp_path) == Reading(ticks=1003, steal_ticks=40)


@pytest.mark.parametrize("text", ["", "cpu  100 0 50 800"])
def test_kernel_that_tells_no_steal_means_none(tmp_path: Path, text: str) -> None:
    write(tmp_path, "proc/stat", text)
    assert read_noise(tmp_path).steal_ticks == 0


def test_steal_is_a_share_of_the_time_between(tmp_path: Path) -> None:
    before, after = Reading(ticks=1000, steal_ticks=40), Reading(ticks=1200, steal_ticks=90)
    assert between(before, after, tmp_path) == 0.25
    assert between(before, before, tmp_path) == 0


def test_what_is_not_told_is_none(tmp_path: Path) -> None:
    reading = read_noise(tmp_path)
    noise = noise_between(reading, reading, felt=Felt(switches=3), round_spread=0.5, root=tmp_path)
    assert (noise.clock_drop, noise.temperature_c, noise.governor) == (None, None, None)
    assert (noise.involuntary_switches, noise.round_spread) == (3, 0.5)


def test_hottest_sensor_and_the_governor_are_read(tmp_path: Path) -> None:
    for zone, text in enumerate(["41000\n", "-5000\n", "67500\n", "broken\n"]):
        write(tmp_path, f"sys/class/thermal/thermal_zone{zone}/temp", text)
    write(tmp_path, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "schedutil\n")
    reading = read_noise(tmp_path)
    noise = noise_between(reading, reading, felt=Felt(), round_spread=0, root=tmp_path)
    assert (noise.temperature_c, noise.governor) == (67.5, "schedutil")


def test_counters_rise_over_the_measurement(tmp_path: Path) -> None:
    core = "sys/devices/system/cpu/cpu{}/thermal_throttle/{}_throttle_count"
    readings = []
    for step in (0, 1):
        for cpu in (0, 1):
            write(tmp_path, core.format(cpu, "core"), f"{10 + 2 * step}\n")
            write(tmp_path, core.format(cpu, "package"), f"{30 + step}\n")
        for name, total in (("cpu", 10**6 * (1 + step)), ("memory", 500_000 * step)):
            lines = f"some avg10=0.00 total={total}\nfull avg10=0.00 total=7\n"
            write(tmp_path, f"proc/pressure/{name}", lines)
        write(tmp_path, "sys/class/thermal/thermal_zone0/temp", f"{50_000 + 12_000 * step}\n")
        readings.append(replace(read_noise(tmp_path), at_s=100.0 + 4 * step))
    noise = noise_between(*readings, felt=Felt(), round_spread=0, root=tmp_path)
    assert noise.throttles == 5
    assert (noise.cpu_pressure, noise.memory_pressure) == (0.25, 0.125)
    assert (noise.temperature_c, noise.temperature_rise_c) == (62, 12)


@pytest.mark.parametrize(("text", "expected"), [("0\n", 0), ("50000\n", 0), ("50005\n", 1)])
def test_firmware_that_throttles_now_is_seen(tmp_path: Path, text: str, expected: int) -> None:
    write(tmp_path, "sys/devices/platform/soc/soc:firmware/get_throttled", text)
    reading = read_noise(tmp_path)
    noise = noise_between(reading, reading, felt=Felt(), round_spread=0, root=tmp_path)
    assert noise.throttles == expected


def test_what_the_subject_felt_is_told_as_shares(tmp_path: Path) -> None:
    felt = Felt(
        timed_s=2.0, switches=4, major_faults=3, waited_s=0.5, held_back_s=0.25, clock_drop=0.1,
        clocks_hz=(1e9, 1.5e9, 2e9),
    )  # fmt: skip
    reading = read_noise(tmp_path)
    noise = noise_between(reading, reading, felt=felt, round_spread=0, root=tmp_path)
    assert (noise.waited_share, noise.held_back_share, noise.major_faults) == (0.25, 0.125, 3)
    assert (noise.clock_min_hz, noise.clock_mean_hz, noise.clock_max_hz) == (1e9, 1.5e9, 2e9)
    assert (noise.clock_drop, noise.involuntary_switches) == (0.1, 4)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("var/lib/nvpmodel/status", "pmode:0002\n", "nvpmodel 2"),
        ("sys/firmware/acpi/platform_profile", "balanced\n", "balanced"),
        ("var/lib/nvpmodel/status", "nonsense\n", None),
    ],
)
def test_power_mode_is_told_as_the_machine_calls_it(
    tmp_path: Path, name: str, text: str, expected: str | None
) -> None:
    write(tmp_path, name, text)
    assert power_mode(tmp_path) == expected
