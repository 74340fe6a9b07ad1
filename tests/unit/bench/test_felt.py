# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from insight_edge.bench.felt import Feeler, Felt


def write(root: Path, waited_ns: int, throttled_us: int) -> None:
    for name, text in (
        ("proc/thread-self/schedstat", f"500 {waited_ns} 7\n"),
        ("proc/self/cgroup", "0::/g\n"),
        ("sys/fs/cgroup/g/cpu.stat", f"usage_usec 5\nthrottled_usec {throttled_us}\n"),
    ):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_what_happens_between_blocks_is_not_felt(tmp_path: Path) -> None:
    feeler = Feeler(tmp_path)
    for step in range(3):
        write(tmp_path, 10**9 * step, 10**6 * step)
        with feeler.during():
            write(tmp_path, 10**9 * step + 10**8, 10**6 * step + 2 * 10**5)
    found = feeler.felt()
    assert found.waited_s == pytest.approx(0.3)
    assert found.held_back_s == pytest.approx(0.6)
    assert found.timed_s > 0


def test_what_the_kernel_does_not_tell_is_none(tmp_path: Path) -> None:
    feeler = Feeler(tmp_path)
    with feeler.during():
        pass
    found = feeler.felt()
    assert (found.waited_s, found.held_back_s, found.clocks_hz) == (None, None, None)
    assert Feeler(tmp_path).felt() == Felt()


def test_block_that_fails_is_not_felt(tmp_path: Path) -> None:
    feeler = Feeler(tmp_path)
    with pytest.raises(ArithmeticError), feeler.during():
        raise ArithmeticError
    assert feeler.felt() == Felt()
