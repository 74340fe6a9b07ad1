# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from insight_edge.bench.clock import Clock, ClockRange, read_clock


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


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


def seen(clocks: list[Clock]) -> ClockRange:
    found = ClockRange()
    for clock in [*clocks, None]:
        found.add(clock)
    return found


def test_clock_drop_compares_a_processor_with_itself() -> None:
    little_and_big = [(0, 1.8e9), (4, 2.4e9), (0, 1.8e9), (4, 2.4e9)]
    assert seen(little_and_big).drop == 0
    assert seen([*little_and_big, (4, 1.2e9)]).drop == 0.5
    assert seen([]).drop is None


def test_range_is_of_all_processors_and_the_mean_of_all_readings() -> None:
    assert seen([(0, 1e9), (0, 2e9), (1, 3e9)]).range_hz == (1e9, 2e9, 3e9)
    assert seen([]).range_hz is None
