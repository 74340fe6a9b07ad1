# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from insight_edge.bench.noise import Reading, clock_drop, noise_between, read_clock, read_noise

STAT = "cpu  100 0 50 800 10 1 2 40 7 3\ncpu0 50 0 25 400 5 0 1 20 3 1\n"


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def between(before: Reading, after: Reading, root: Path) -> float:
    noise = noise_between(before, after, involuntary_switches=0, round_spread=0, root=root)
    return noise.steal_share


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
    noise = noise_between(reading, reading, involuntary_switches=3, round_spread=0.5, root=tmp_path)
    assert (noise.clock_drop, noise.temperature_c, noise.governor) == (None, None, None)
    assert (noise.involuntary_switches, noise.round_spread) == (3, 0.5)


def test_hottest_sensor_and_the_governor_are_read(tmp_path: Path) -> None:
    for zone, text in enumerate(["41000\n", "-5000\n", "67500\n", "broken\n"]):
        write(tmp_path, f"sys/class/thermal/thermal_zone{zone}/temp", text)
    write(tmp_path, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "schedutil\n")
    reading = read_noise(tmp_path)
    noise = noise_between(reading, reading, involuntary_switches=0, round_spread=0, root=tmp_path)
    assert (noise.temperature_c, noise.governor) == (67.5, "schedutil")


def test_clock_is_that_of_the_processor_the_thread_ran_on(tmp_path: Path) -> None:
    columns = ["S", *map(str, range(4, 39)), "3", "0"]
    write(tmp_path, "proc/thread-self/stat", f"77 (a) b (c)) {' '.join(columns)}")
    write(tmp_path, "sys/devices/system/cpu/cpu3/cpufreq/scaling_cur_freq", "2400000\n")
    assert read_clock(tmp_path) == (3, 2.4e9)


@pytest.mark.parametrize("text", ["", "0", "<unknown>"])
def test_clock_that_is_not_told_is_none(tmp_path: Path, text: str) -> None:
    columns = ["S", *map(str, range(4, 39)), "0"]
    write(tmp_path, "proc/thread-self/stat", f"77 (a) {' '.join(columns)}")
    write(tmp_path, "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", text)
    assert read_clock(tmp_path) is None
    assert read_clock(tmp_path / "nothing") is None


def test_clock_of_this_machine_can_be_read() -> None:
    clock = read_clock()
    assert clock is None or clock[1] > 1e6


def test_clock_drop_compares_a_processor_with_itself() -> None:
    little_and_big = [(0, 1.8e9), (4, 2.4e9), (0, 1.8e9), (4, 2.4e9)]
    assert clock_drop(little_and_big) == 0
    assert clock_drop([*little_and_big, (4, 1.2e9)]) == 0.5
    assert clock_drop([]) is None
