# SPDX-License-Identifier: Apache-2.0
import os
from pathlib import Path

import pytest

from insight_edge.runtime.processor import cpuinfo_fields, isa_extensions, usable_threads


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def eight_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))


@pytest.mark.usefixtures("eight_allowed")
@pytest.mark.parametrize(
    ("quota", "threads"), [("max", 8), ("250000", 2), ("50000", 1), ("1600000", 8)]
)
def test_threads_are_those_allowed_and_paid_for(quota: str, threads: int, tmp_path: Path) -> None:
    write(tmp_path, "sys/fs/cgroup/cpu.max", f"{quota} 100000\n")
    assert usable_threads(tmp_path) == threads


def test_threads_follow_the_affinity_of_this_process() -> None:
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert usable_threads() == 1
    finally:
        os.sched_setaffinity(0, allowed)


def test_extensions_are_those_that_every_core_has(tmp_path: Path) -> None:
    write(tmp_path, "proc/cpuinfo", "flags : sse2 avx2 fma\n\nflags : fma sse2 sse2\n")
    assert isa_extensions(tmp_path) == ("sse2", "fma")


def test_extensions_of_arm_have_another_name(tmp_path: Path) -> None:
    write(tmp_path, "proc/cpuinfo", "Features\t: fp asimd\n")
    assert isa_extensions(tmp_path) == ("fp", "asimd")


def test_kernel_that_tells_no_extension_means_none(tmp_path: Path) -> None:
    assert isa_extensions(tmp_path) == ()


def test_fields_keep_their_order_and_lines_without_a_colon_are_none(tmp_path: Path) -> None:
    write(tmp_path, "proc/cpuinfo", "a : 1\nnothing\n\nb\t: x : y\na :\n")
    assert cpuinfo_fields(tmp_path) == [("a", "1"), ("b", "x : y"), ("a", "")]
