# SPDX-License-Identifier: Apache-2.0
import os
from pathlib import Path

import pytest

from insight_edge.runtime.cgroup import (
    cpu_quota,
    held_back_s,
    memory_left_bytes,
    memory_limit_bytes,
    read_text,
)
from insight_edge.runtime.memory import available_bytes

MIB = 2**20


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


@pytest.fixture
def v2(tmp_path: Path) -> Path:
    write(tmp_path, "proc/self/cgroup", "0::/outer/inner")
    return tmp_path


@pytest.fixture
def v1(tmp_path: Path) -> Path:
    write(tmp_path, "proc/self/cgroup", "5:memory:/board\n4:cpu,cpuacct:/board\n1:name=systemd:/x")
    return tmp_path


def test_machine_without_control_groups_has_no_limit(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path) is None
    assert memory_limit_bytes(tmp_path) is None


def test_quota_is_the_tightest_of_the_group_and_its_ancestors(v2: Path) -> None:
    write(v2, "sys/fs/cgroup/cpu.max", "max 100000")
    write(v2, "sys/fs/cgroup/outer/cpu.max", "150000 100000")
    write(v2, "sys/fs/cgroup/outer/inner/cpu.max", "400000 100000")
    assert cpu_quota(v2) == 1.5


def test_memory_limit_is_the_tightest_of_the_group_and_its_ancestors(v2: Path) -> None:
    write(v2, "sys/fs/cgroup/outer/memory.max", str(64 * MIB))
    write(v2, "sys/fs/cgroup/outer/inner/memory.max", "max")
    assert memory_limit_bytes(v2) == 64 * MIB


def test_group_of_another_process_is_not_read(v2: Path) -> None:
    write(v2, "sys/fs/cgroup/other/cpu.max", "10000 100000")
    write(v2, "sys/fs/cgroup/outer/other/memory.max", "1")
    assert cpu_quota(v2) is None
    assert memory_limit_bytes(v2) is None


def test_container_whose_ancestors_are_hidden_is_read_at_the_mount(v2: Path) -> None:
    write(v2, "sys/fs/cgroup/cpu.max", "50000 100000")
    assert cpu_quota(v2) == 0.5


def test_first_version_is_read_controller_by_controller(v1: Path) -> None:
    write(v1, "sys/fs/cgroup/cpu/board/cpu.cfs_quota_us", "300000")
    write(v1, "sys/fs/cgroup/cpu/board/cpu.cfs_period_us", "100000")
    write(v1, "sys/fs/cgroup/memory/board/memory.limit_in_bytes", str(512 * MIB))
    assert cpu_quota(v1) == 3
    assert memory_limit_bytes(v1) == 512 * MIB


def test_first_version_says_unlimited_with_figures_of_its_own(v1: Path) -> None:
    write(v1, "sys/fs/cgroup/cpu/board/cpu.cfs_quota_us", "-1")
    write(v1, "sys/fs/cgroup/cpu/board/cpu.cfs_period_us", "100000")
    write(v1, "sys/fs/cgroup/memory/board/memory.limit_in_bytes", "9223372036854771712")
    assert cpu_quota(v1) is None
    assert memory_limit_bytes(v1) is None


@pytest.mark.parametrize("text", ["", "garbage", "max", "100000", "100000 0", "x 100000"])
def test_quota_that_cannot_be_read_is_none(v2: Path, text: str) -> None:
    write(v2, "sys/fs/cgroup/cpu.max", text)
    assert cpu_quota(v2) is None


def test_text_of_what_is_not_there_is_none(tmp_path: Path) -> None:
    assert read_text(tmp_path / "absent") is None
    assert read_text(tmp_path) is None


def test_time_held_back_is_that_of_the_group_or_its_ancestor(v2: Path, v1: Path) -> None:
    assert held_back_s(v1) is None
    write(v2, "proc/self/cgroup", "0::/outer/inner")
    write(v2, "sys/fs/cgroup/outer/cpu.stat", "usage_usec 9\nthrottled_usec 2500000")
    write(v2, "sys/fs/cgroup/outer/inner/cpu.stat", "throttled_usec 500000")
    assert held_back_s(v2) == 2.5


def test_time_held_back_is_told_by_older_kernels_in_nanoseconds(v1: Path) -> None:
    write(v1, "sys/fs/cgroup/cpu/board/cpu.stat", "nr_throttled 3\nthrottled_time 40000000")
    assert held_back_s(v1) == pytest.approx(0.04)


def test_memory_that_is_left_is_the_least_of_all_groups_unused_files_among_it(v2: Path) -> None:
    for group, limit, used in (("outer", "64", "10"), ("outer/inner", "32", "30")):
        write(v2, f"sys/fs/cgroup/{group}/memory.max", str(int(limit) * MIB))
        write(v2, f"sys/fs/cgroup/{group}/memory.current", str(int(used) * MIB))
    write(v2, "sys/fs/cgroup/outer/inner/memory.stat", f"anon 1\ninactive_file {5 * MIB}")
    assert memory_left_bytes(v2) == 7 * MIB
    write(v2, "proc/meminfo", "MemTotal: 99 kB\nMemAvailable:   4096 kB")
    assert available_bytes(v2) == 4 * MIB
    write(v2, "proc/meminfo", "MemAvailable: 40960 kB")
    assert available_bytes(v2) == 7 * MIB


def test_memory_that_is_left_is_read_of_the_first_version(v1: Path) -> None:
    write(v1, "sys/fs/cgroup/memory/memory.limit_in_bytes", str(2**63 - 4096))
    write(v1, "sys/fs/cgroup/memory/memory.usage_in_bytes", "1")
    assert memory_left_bytes(v1) is None
    write(v1, "sys/fs/cgroup/memory/board/memory.limit_in_bytes", str(9 * MIB))
    write(v1, "sys/fs/cgroup/memory/board/memory.usage_in_bytes", str(8 * MIB))
    write(v1, "sys/fs/cgroup/memory/board/memory.stat", f"total_inactive_file {2 * MIB}")
    assert memory_left_bytes(v1) == 3 * MIB


def test_memory_of_this_machine_is_less_than_there_is() -> None:
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < available_bytes() < there


def test_machine_that_tells_nothing_has_no_memory_to_give(tmp_path: Path) -> None:
    assert available_bytes(tmp_path) == 0
