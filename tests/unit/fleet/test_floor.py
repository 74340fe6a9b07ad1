# SPDX-License-Identifier: Apache-2.0
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_edge.fleet.trust.floor import Floor

LATEST_S = 253_402_300_799.0
KEYS = ("ab",)


class Monotonic:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_nothing_has_passed_on_a_new_device(tmp_path: Path) -> None:
    floor = Floor(tmp_path / "seen.json", Monotonic())
    assert (floor.passed_s, floor.keys) == (0.0, ())
    assert floor.now_s(5.0) == 5.0


def test_a_clock_before_the_floor_is_not_believed(tmp_path: Path) -> None:
    floor = Floor(tmp_path / "seen.json", Monotonic())
    floor.raise_to(1000.0, KEYS)
    assert floor.now_s(10.0) == 1000.0
    assert floor.now_s(1010.0) == 1010.0


def test_the_floor_counts_on_and_survives_a_restart(tmp_path: Path) -> None:
    monotonic = Monotonic()
    floor = Floor(tmp_path / "seen.json", monotonic)
    floor.raise_to(1000.0, KEYS)
    monotonic.now_s += 60.0
    assert floor.passed_s == 1060.0
    floor.keep()
    monotonic.now_s = 7.0
    again = Floor(tmp_path / "seen.json", monotonic)
    assert (again.passed_s, again.keys) == (1060.0, KEYS)
    monotonic.now_s += 1.0
    assert again.passed_s == 1061.0


def test_the_floor_is_only_lowered_with_the_keys_that_vouched_for_it(tmp_path: Path) -> None:
    floor = Floor(tmp_path / "seen.json", Monotonic())
    floor.raise_to(1000.0, KEYS)
    floor.raise_to(500.0, KEYS)
    assert floor.passed_s == 1000.0
    floor.raise_to(500.0, ("cd",))
    assert (floor.passed_s, floor.keys) == (500.0, ("cd",))
    floor.forget()
    assert (floor.passed_s, floor.keys) == (0.0, ())


@pytest.mark.parametrize(
    "written",
    [b"", b"garbage", b'{"passed_s":-5.0}', b'{"passed_s":1e99}', b"[]", b'{"format":9}'],
)
def test_what_cannot_be_read_counts_as_nothing_seen(tmp_path: Path, written: bytes) -> None:
    (tmp_path / "seen.json").write_bytes(written)
    floor = Floor(tmp_path / "seen.json", Monotonic())
    assert floor.passed_s == 0.0
    floor.raise_to(1000.0, KEYS)
    assert Floor(tmp_path / "seen.json", Monotonic()).passed_s == 1000.0


@given(clock_s=st.floats(), seen_s=st.floats(0, LATEST_S))
def test_the_time_to_go_by_is_always_a_date_and_never_before_the_floor(
    tmp_path_factory: pytest.TempPathFactory, clock_s: float, seen_s: float
) -> None:
    floor = Floor(tmp_path_factory.mktemp("floor") / "seen.json", Monotonic())
    floor.raise_to(seen_s, KEYS)
    now_s = floor.now_s(clock_s)
    assert math.isfinite(now_s)
    assert seen_s <= now_s <= LATEST_S
    if math.isfinite(clock_s) and seen_s <= clock_s <= LATEST_S:
        assert now_s == clock_s
