# SPDX-License-Identifier: Apache-2.0
"""What builds took is remembered, and a memory that is damaged is none."""

from pathlib import Path

import pytest

from insight_edge.compile.building.durations import (
    FILE,
    KEPT,
    Duration,
    Durations,
    add_durations,
    read_durations,
)

TOKEN = "tvm:fp32"


def took(build_s: float, model_bytes: int = 100) -> dict[str, Duration]:
    return {TOKEN: Duration(model_bytes=model_bytes, build_s=build_s)}


def test_models_nearest_in_size_say_how_long_it_takes() -> None:
    known = Durations()
    for build_s, model_bytes in ((1.0, 90), (2.0, 100), (9.0, 110), (500.0, 10**9)):
        known = known.with_builds(took(build_s, model_bytes))
    assert known.usual_s(TOKEN, 100) == 2.0
    assert known.usual_s("tflite:fp32", 100) is None


def test_only_the_last_builds_are_kept(tmp_path: Path) -> None:
    for number in range(KEPT + 5):
        add_durations(tmp_path, took(float(number)))
    found = read_durations(tmp_path).builds[TOKEN]
    assert [one.build_s for one in found] == [float(number) for number in range(5, KEPT + 5)]


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"format":1,"builds":{"a":[{}]}}'])
def test_damaged_file_remembers_nothing_and_is_replaced(tmp_path: Path, data: bytes) -> None:
    (tmp_path / FILE).parent.mkdir()
    (tmp_path / FILE).write_bytes(data)
    assert read_durations(tmp_path) == Durations()
    add_durations(tmp_path, took(3.0))
    assert read_durations(tmp_path).usual_s(TOKEN, 1) == 3.0


def test_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "shared").write_text("a file in the way")
    add_durations(tmp_path, took(3.0))
    assert read_durations(tmp_path) == Durations()
