# SPDX-License-Identifier: Apache-2.0
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insight_edge.documents.report import Counts
from insight_edge.documents.statistics import document_from_grid, summary_from_document
from insight_edge.errors import DocumentError
from insight_edge.runtime.window import OpenWindow, WindowHeader, open_window, recover_window
from insight_edge.stats.grid import grid_from_rows

ROWS = np.random.default_rng(0).normal(size=(300, 3))
GRID = grid_from_rows(["a", "b", "c"], ROWS)
HEADER = WindowHeader(
    boot=3,
    sequence=5,
    bundle="sha256:b",
    variant="v",
    signed=False,
    opened_s=1000.0,
    inputs=document_from_grid(GRID),
)


def count(window: OpenWindow, rows: int, now_s: float = 1001.0, *, closed: bool = False) -> None:
    page = window.turn()
    assert page.inputs is not None
    page.inputs.observe(ROWS[:rows])
    page.latency.observe_ns(np.full(rows, 1000))
    before = page.counts()
    page.set_counts(msgspec.structs.replace(before, asked=before.asked + rows))
    window.seal(int(now_s * 1e9), closed=closed)


def test_report_holds_what_was_sealed(tmp_path: Path) -> None:
    window = open_window(HEADER, tmp_path / "w")
    count(window, 100)
    count(window, 50, now_s=1002.5, closed=True)
    report = window.report()
    assert (report.boot, report.sequence, report.bundle, report.variant) == (3, 5, "sha256:b", "v")
    assert (report.window.opened_s, report.window.closed_s) == (1000.0, 1002.5)
    assert report.counts == Counts(asked=150)
    assert report.latency.count == 150
    assert not report.recovered
    assert report.outputs is None
    assert report.inputs is not None
    assert summary_from_document(report.inputs, GRID).count == 150


def test_plain_memory_counts_like_a_file(tmp_path: Path) -> None:
    windows = [open_window(HEADER, None), open_window(HEADER, tmp_path / "w")]
    for window in windows:
        count(window, 70)
    assert windows[0].report() == windows[1].report()
    assert windows[0].path is None


def test_recover_window_finds_the_newest_seal_and_says_so(tmp_path: Path) -> None:
    window = open_window(HEADER, tmp_path / "w")
    count(window, 100, now_s=1001.0)
    count(window, 20, now_s=1002.0)
    found = recover_window(tmp_path / "w").report()
    assert found == msgspec.structs.replace(window.report(), recovered=True)
    assert found.recovered
    assert found.window.closed_s == 1002.0


def test_recover_window_knows_a_closed_window(tmp_path: Path) -> None:
    count(open_window(HEADER, tmp_path / "w"), 1, closed=True)
    assert not recover_window(tmp_path / "w").report().recovered


def test_an_unsealed_change_is_as_if_it_had_not_been(tmp_path: Path) -> None:
    window = open_window(HEADER, tmp_path / "w")
    count(window, 100)
    page = window.turn()
    assert page.inputs is not None
    page.inputs.observe(ROWS[:30])
    page.set_counts(Counts(asked=9999))
    assert recover_window(tmp_path / "w").report().counts.asked == 100
    count(window, 1)
    assert recover_window(tmp_path / "w").report().counts.asked == 101


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_recover_window_gives_one_whole_page_or_an_error_for_any_damage(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("w") / "w"
    window = open_window(HEADER, path)
    count(window, 10)
    count(window, 10)
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    damaged = bytearray(whole)
    damaged[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(damaged)
    try:
        report = recover_window(path).report()
    except DocumentError:
        assert at < 4096  # only the header is not there twice
        return
    assert report.counts.asked in {10, 20}
    assert report.inputs is not None
    assert report.inputs.count == report.counts.asked
    assert report.latency.count == report.counts.asked


@pytest.mark.parametrize("kept", [0, 7, 20, 4095, 4096, 9000])
def test_recover_window_refuses_a_cut_file(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "w"
    count(open_window(HEADER, path), 10)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DocumentError, match="window"):
        recover_window(path)


def test_recover_window_refuses_two_torn_pages(tmp_path: Path) -> None:
    path = tmp_path / "w"
    count(open_window(HEADER, path), 10)
    data = bytearray(path.read_bytes())
    half = (len(data) - 4096) // 2
    data[4096 + 8 * 10] ^= 1
    data[4096 + half + 8 * 10] ^= 1
    path.write_bytes(data)
    with pytest.raises(DocumentError, match="no page"):
        recover_window(path)


def test_open_window_counts_in_memory_where_no_file_can_be_made(tmp_path: Path) -> None:
    window = open_window(HEADER, tmp_path / "absent" / "w")
    count(window, 3)
    assert window.path is None
    assert window.report().counts.asked == 3


def test_open_window_leaves_nothing_behind_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    assert open_window(HEADER, tmp_path / "w").path is None
    assert list(tmp_path.iterdir()) == []


def test_window_file_is_for_its_user_alone(tmp_path: Path) -> None:
    open_window(HEADER, tmp_path / "w")
    assert (tmp_path / "w").stat().st_mode & 0o777 == 0o600
