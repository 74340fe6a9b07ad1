# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from insight_edge.documents.report import Counts
from insight_edge.runtime.shelf import MAX_CLOSED, Shelf
from insight_edge.runtime.window import OpenWindow, WindowHeader

HEADER = WindowHeader(boot=1, bundle="sha256:b", variant="v", signed=False)


def used(shelf: Shelf, asked: int = 1, *, closed: bool = True) -> OpenWindow:
    window = shelf.open(HEADER)
    window.turn().set_counts(Counts(asked=asked))
    window.seal(1, closed=closed)
    return window


def test_shelf_numbers_windows_and_hands_them_over_in_order(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    for asked in (1, 2):
        shelf.put(used(shelf, asked))
    handed = []
    while (report := shelf.oldest()) is not None:
        handed.append((report.sequence, report.counts.asked))
        shelf.confirm(report)
    assert handed == [(0, 1), (1, 2)]


def test_report_stays_until_it_is_confirmed(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.put(used(shelf))
    first = shelf.oldest()
    assert first is not None
    assert shelf.oldest() is first
    assert len(list(tmp_path.iterdir())) == 1
    shelf.confirm(first)
    shelf.confirm(first)
    assert shelf.oldest() is None
    assert list(tmp_path.iterdir()) == []


def test_recover_finds_what_another_process_left_in_order(tmp_path: Path) -> None:
    left = Shelf(tmp_path)
    used(left, 5)
    used(left, 6, closed=False)
    used(left, 0)
    (tmp_path / "window-1-9.map").write_bytes(b"not a window")
    shelf = Shelf(tmp_path)
    shelf.recover()
    found = []
    while (report := shelf.oldest()) is not None:
        found.append((report.sequence, report.counts.asked, report.recovered))
        shelf.confirm(report)
    assert found == [(0, 5, False), (1, 6, True), (2, 0, False)]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("later", "expected"), [(0, []), (1, [0, 1]), (2, [0, 1, 2])])
def test_recover_leaves_no_number_out_and_reports_no_process_that_did_nothing(
    tmp_path: Path, later: int, expected: list[int]
) -> None:
    left = Shelf(tmp_path)
    used(left, 0, closed=False)
    for asked in range(later):
        used(left, asked, closed=False)
    shelf = Shelf(tmp_path)
    shelf.recover()
    found = []
    while (report := shelf.oldest()) is not None:
        found.append(report.sequence)
        shelf.confirm(report)
    assert found == expected
    assert list(tmp_path.iterdir()) == []


def test_shelf_drops_the_oldest_where_nobody_takes_reports(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    for _ in range(MAX_CLOSED + 3):
        shelf.put(used(shelf))
    oldest = shelf.oldest()
    assert oldest is not None
    assert oldest.sequence == 3
    assert len(list(tmp_path.iterdir())) == MAX_CLOSED


@pytest.mark.parametrize("state_dir", [None, Path("/nonexistent")])
def test_shelf_works_without_a_directory(state_dir: Path | None) -> None:
    shelf = Shelf(state_dir)
    shelf.recover()
    shelf.put(used(shelf))
    assert shelf.oldest() is not None
