# SPDX-License-Identifier: Apache-2.0
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_edge.documents.codec import (
    MAX_WIRE_BYTES,
    decode_json,
    decode_wire,
    encode_json,
    encode_msgpack,
    encode_wire,
)
from insight_edge.documents.report import Counts, Report, Window
from insight_edge.documents.statistics import (
    GridColumn,
    GridDocument,
    LatencyDocument,
    SummaryDocument,
    document_from_grid,
    document_from_latency,
    document_from_summary,
    grid_from_document,
    latency_from_document,
    summary_from_document,
)
from insight_edge.errors import DocumentError
from insight_edge.stats.grid import Grid, grid_from_rows
from insight_edge.stats.latency import LatencyHistogram
from insight_edge.stats.summary import Summary
from insight_edge.stats.tally import Tally
from tests.fakes.odd_rows import grids, rows

GRID = grid_from_rows(["a", "b"], np.array([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]]))
COLUMN = GridColumn(name="a", low=0.0, cell=1.0, starts=(0, 2))


def summary_over(grid: Grid, table: Any) -> Summary:
    tally = Tally(grid)
    tally.observe(np.array(table, np.float64))
    return tally.summary()


SUMMARY = document_from_summary(summary_over(GRID, [[0.0, np.nan], [1.0, 1.0], [9.0, -9.0]]))


@given(grids())
def test_grid_comes_back_with_its_digest(grid: Grid) -> None:
    document = decode_json(GridDocument, encode_json(document_from_grid(grid)))
    assert grid_from_document(document).digest == grid.digest


@given(st.data())
def test_summary_comes_back_bit_for_bit(data: st.DataObject) -> None:
    grid = data.draw(grids())
    summary = summary_over(grid, data.draw(rows(len(grid.names))))
    document = document_from_summary(summary)
    for found in (
        decode_json(SummaryDocument, encode_json(document)),
        decode_wire(SummaryDocument, encode_wire(document)),
    ):
        assert found == document
        assert summary_from_document(found, grid) == summary


def test_summary_of_more_rows_than_64_bits_of_squares_comes_back() -> None:
    total = summary_over(GRID, [[np.inf, -np.inf]] * 1000)
    for _ in range(40):
        total = total.merge(total)
    document = document_from_summary(total)
    assert int(document.squares[0]) > 2**64
    assert summary_from_document(document, GRID) == total


@given(st.lists(st.integers(0, 10**13)))
def test_latency_comes_back_with_every_count(durations_ns: list[int]) -> None:
    histogram = LatencyHistogram()
    histogram.observe_ns(np.array(durations_ns, np.int64))
    document = decode_json(LatencyDocument, encode_json(document_from_latency(histogram)))
    assert latency_from_document(document) == histogram


@pytest.mark.parametrize(
    "document",
    [
        GridDocument(cells=4, columns=(msgspec.structs.replace(COLUMN, starts=(0, 4)),)),
        GridDocument(cells=4, columns=(msgspec.structs.replace(COLUMN, starts=(1, 2)),)),
        GridDocument(cells=4, columns=(msgspec.structs.replace(COLUMN, starts=()),)),
        GridDocument(cells=4, columns=(msgspec.structs.replace(COLUMN, starts=(0, 2**70)),)),
        GridDocument(cells=4, columns=(msgspec.structs.replace(COLUMN, cell=0.0),)),
        GridDocument(cells=4, columns=(msgspec.structs.replace(COLUMN, low=float("inf")),)),
        GridDocument(cells=-1, columns=(COLUMN,)),
        GridDocument(cells=0, columns=()),
        GridDocument(cells=2**40, columns=(COLUMN,)),
        GridDocument(cells=2**40, columns=()),
    ],
)
def test_columns_that_are_no_grid_are_refused(document: GridDocument) -> None:
    with pytest.raises(DocumentError, match="grid: "):
        grid_from_document(document)


@pytest.mark.parametrize(
    "changes",
    [
        {"grid": "sha256:0"},
        {"names": ("a", "c")},
        {"count": 4},
        {"count": 2**70},
        {"missing": (0,)},
        {"missing": (0, 2**63)},
        {"below": (0, -1)},
        {"bins": SUMMARY.bins[:1]},
        {"bins": tuple(zip(*SUMMARY.bins, strict=True))},
        {"bins": (SUMMARY.bins[0], SUMMARY.bins[1][:1])},
        {"sums": SUMMARY.sums[:1]},
        {"sums": ("many", "few")},
        {"sums": ("1" * 5000, "0")},
        {"squares": ("0", "0")},
        {"minimum": (float("nan"), 1.0)},
        {"minimum": (None, 1.0)},
        {"maximum": (9.0,)},
    ],
)
def test_counts_that_no_rows_can_have_are_refused(changes: dict[str, Any]) -> None:
    summary_from_document(SUMMARY, GRID)
    with pytest.raises(DocumentError, match="summary: "):
        summary_from_document(msgspec.structs.replace(SUMMARY, **changes), GRID)


@pytest.mark.parametrize(
    "document",
    [
        LatencyDocument(buckets={"5": 2}, count=3, total_ns=10, max_ns=5),
        LatencyDocument(buckets={"5": 2, "05": 2}, count=4, total_ns=20, max_ns=5),
        LatencyDocument(buckets={"x": 1}, count=1, total_ns=1, max_ns=1),
        LatencyDocument(buckets={"99999": 1}, count=1, total_ns=1, max_ns=1),
        LatencyDocument(buckets={"5": 2**63}, count=2**63, total_ns=5 * 2**63, max_ns=5),
        LatencyDocument(buckets={"5": 2}, count=2, total_ns=1, max_ns=5),
    ],
)
def test_buckets_that_no_durations_can_have_are_refused(document: LatencyDocument) -> None:
    with pytest.raises(DocumentError, match="latency: "):
        latency_from_document(document)


def test_largest_report_fits_the_wire_with_room() -> None:
    random = np.random.default_rng(2)
    table = random.normal(size=(20_000, 64))
    grid = grid_from_rows([f"feature {index}" for index in range(64)], table, bins=256)
    summary = document_from_summary(summary_over(grid, table))
    histogram = LatencyHistogram()
    histogram.observe_ns(random.integers(0, 2**42, 20_000))
    report = Report(
        boot=1,
        sequence=1,
        bundle="sha256:" + "0" * 64,
        variant="v",
        window=Window(opened_s=0.0, closed_s=1.0),
        counts=Counts(),
        latency=document_from_latency(histogram),
        inputs=summary,
        outputs=summary,
    )
    assert len(encode_msgpack(report)) < MAX_WIRE_BYTES / 8
    assert decode_wire(Report, encode_wire(report)) == report
