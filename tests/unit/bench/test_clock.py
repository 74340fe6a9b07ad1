# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from insight_edge.bench.clock import clock_drop, read_clock


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


def test_clock_drop_compares_a_processor_with_itself() -> None:
    little_and_big = [(0, 1.8e9), (4, 2.4e9), (0, 1.8e9), (4, 2.4e9)]
    assert clock_drop(little_and_big) == 0
    assert clock_drop([*little_and_big, (4, 1.2e9)]) == 0.5
    assert clock_drop([]) is None
