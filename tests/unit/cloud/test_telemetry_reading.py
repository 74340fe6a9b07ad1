# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import msgspec
import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from insight_cloud.telemetry.classes import labelled_class, predicted_class, same_class
from insight_cloud.telemetry.heads import ReportHead
from insight_cloud.telemetry.rules import (
    MAX_AHEAD_S,
    MAX_LATE_S,
    hour_of,
    known_bundle,
    placed_s,
)
from insight_cloud.telemetry.totals import (
    NOTHING,
)
from insight_cloud.telemetry.wire import Reader
from insight_edge.documents.codec import decode_wire, encode_wire, to_plain
from insight_edge.documents.manifest import Manifest, Reference
from insight_edge.documents.report import Report
from insight_edge.documents.statistics import (
    document_from_grid,
    document_from_summary,
)
from insight_edge.documents.steps import Feature, Observe
from insight_edge.errors import (
    DocumentError,
    InsightEdgeError,
    LimitExceededError,
    UnsupportedVersionError,
)
from insight_edge.stats.grid import grid_from_rows
from insight_edge.stats.latency import LatencyHistogram
from insight_edge.stats.summary import Summary
from tests.fakes.any_document import documents
from tests.fakes.telemetry import NOW_S, report, sum_of

READER = Reader()
FEATURES = tuple(Feature(name=n, tensor="x", measure="value", index=i) for i, n in enumerate("abc"))


def wire(plain: object) -> bytes:
    return zstandard.compress(msgspec.msgpack.encode(plain))


@given(documents(Report))
def test_what_the_codec_reads_is_read_alike(document: Report) -> None:
    payload = encode_wire(document)
    assert READER.read(Report, payload) == decode_wire(Report, payload) == document


def test_a_field_of_a_newer_release_is_passed_over() -> None:
    plain = to_plain(report()) | {"later": {"deep": [1]}}
    assert READER.read(ReportHead, wire(plain)) == READER.read(ReportHead, encode_wire(report()))


@given(st.binary(max_size=200))
def test_no_bytes_make_the_reader_fail_in_another_way(data: bytes) -> None:
    for payload in (data, zstandard.compress(data)):
        with pytest.raises(DocumentError):
            READER.read(ReportHead, payload)


@given(st.integers(0), st.integers(0, 255))
def test_a_damaged_report_is_read_or_refused(place: int, byte: int) -> None:
    packed = bytearray(READER.unpack(encode_wire(report())))
    packed[place % len(packed)] = byte
    try:
        READER.read(ReportHead, zstandard.compress(bytes(packed)))
    except InsightEdgeError:
        return


def test_every_cut_of_a_message_is_refused() -> None:
    payload = encode_wire(report())
    for length in range(len(payload)):
        with pytest.raises(DocumentError):
            READER.read(ReportHead, payload[:length])
    for more in (b"x", payload):
        with pytest.raises(DocumentError):
            READER.read(ReportHead, payload + more)


def test_a_bomb_is_refused_before_there_is_room_for_it() -> None:
    with pytest.raises(LimitExceededError, match="at most 1048576"):
        READER.unpack(zstandard.compress(b"\0" * 2**24))
    unsaid = zstandard.ZstdCompressor(write_content_size=False).compress(b"\0" * 2**24)
    with pytest.raises(DocumentError):
        READER.unpack(unsaid)
    wide = zstandard.ZstdCompressionParameters(window_log=27, write_content_size=0)
    with pytest.raises(DocumentError):
        READER.unpack(zstandard.ZstdCompressor(compression_params=wide).compress(b"\0" * 2**24))


def test_nesting_does_not_exhaust_the_stack() -> None:
    deep = b"\x81\xa1x" * 100_000 + b"\xc0"
    with pytest.raises(DocumentError):
        READER.read(ReportHead, zstandard.compress(deep))


def test_a_newer_format_is_named() -> None:
    with pytest.raises(UnsupportedVersionError, match="format 2"):
        READER.read(ReportHead, wire(to_plain(report()) | {"format": 2}))


@given(st.lists(st.integers(0, 50), min_size=2, max_size=6), st.integers(0, 6))
def test_totals_of_parts_are_those_of_the_whole(seeds: list[int], split: int) -> None:
    reports = [report(seed=seed) for seed in seeds]
    first, second = sum_of(reports[:split]), sum_of(reports[split:])
    assert first.merge(second) == second.merge(first) == sum_of(reports)
    assert first.merge(second).reports == len(seeds)
    assert first.merge(second).counts.asked == 5 * len(seeds)


def test_more_than_can_be_added_is_refused() -> None:
    longest = LatencyHistogram()
    longest.observe_ns(np.full(2**20, 2**42, np.int64))
    total = replace(NOTHING, reports=1, latency=longest)
    twice = total.merge(total)
    assert twice.latency.count == 2**21
    with pytest.raises(DocumentError, match="does not add up"):
        twice.merge(total)


@pytest.mark.parametrize(
    ("device_s", "placed"),
    [
        (NOW_S, NOW_S),
        (NOW_S - 30 * 86_400, NOW_S - 30 * 86_400),
        (NOW_S + MAX_AHEAD_S, NOW_S + MAX_AHEAD_S),
        (NOW_S + MAX_AHEAD_S + 1, NOW_S),
        (NOW_S - MAX_LATE_S - 1, NOW_S),
        (0.0, NOW_S),
        (1e308, NOW_S),
        (-1e308, NOW_S),
    ],
)
def test_a_window_is_placed_by_arrival_where_the_clock_cannot_be_right(
    device_s: float, placed: float
) -> None:
    assert placed_s(device_s, NOW_S) == placed


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_no_clock_moves_a_window_out_of_bounds(device_s: float) -> None:
    hour = hour_of(placed_s(device_s, NOW_S))
    assert hour_of(NOW_S - MAX_LATE_S) <= hour <= hour_of(NOW_S + MAX_AHEAD_S)


@given(documents(Manifest))
def test_the_grids_of_a_bundle_are_those_its_devices_count_over(any_manifest: Manifest) -> None:
    grid = grid_from_rows(["a", "b", "c"], np.random.default_rng(0).normal(size=(50, 3)), bins=4)
    reference = Reference(
        grid=document_from_grid(grid),
        summary=document_from_summary(Summary.zero(grid)),
        rows=0,
    )
    observe = Observe(inputs=(FEATURES[2], FEATURES[0]), outputs=(FEATURES[1],))
    manifest = msgspec.structs.replace(any_manifest, observe=observe, reference=reference)
    known = known_bundle(manifest)
    assert known.inputs is not None
    assert known.outputs is not None
    assert (known.inputs.names, known.outputs.names) == (("c", "a"), ("b",))
    assert known.inputs.low.tolist() == [grid.low[2], grid.low[0]]
    assert known.classes == manifest.model.classes
    assert known_bundle(msgspec.structs.replace(manifest, reference=None)).inputs is None
    lacking = Observe(inputs=(msgspec.structs.replace(FEATURES[0], name="d"),))
    with pytest.raises(DocumentError, match="'d' is not in the reference"):
        known_bundle(msgspec.structs.replace(manifest, observe=lacking))


@pytest.mark.parametrize(
    ("outputs", "names"),
    [
        ({"scores": (0.1, 0.7, 0.2)}, (1, None)),
        ({"scores": (0.5, 0.5)}, (0, None)),
        ({"label": ("cat",), "scores": (0.1, 0.9)}, (None, "cat")),
        ({"index": (3,), "label": ("cat",)}, (3, "cat")),
        ({"flag": (True,)}, (1, None)),
        ({"scores": (0.1, float("nan"))}, (None, None)),
        ({"one": (0.1, 0.9), "two": (0.9, 0.1)}, (None, None)),
        ({"value": (0.3,)}, (None, None)),
        ({"words": ("a", "b")}, (None, None)),
        ({"scores": None}, (None, None)),
        ({"scores": ()}, (None, None)),
        ({"index": (-1,)}, (None, None)),
        ({"index": (2**60,)}, (None, None)),
        ({"label": ("x" * 300,)}, (None, None)),
        ({"label": ("\0",)}, (None, None)),
        ({}, (None, None)),
    ],
)
def test_the_class_that_a_result_names(
    outputs: dict[str, tuple[float, ...] | None], names: tuple[int | None, str | None]
) -> None:
    assert predicted_class(outputs) == names


@pytest.mark.parametrize(
    ("predicted", "label", "same"),
    [
        ((0, None), 0, True),
        ((0, None), "cat", True),
        ((None, "dog"), 1, True),
        ((None, "dog"), "dog", True),
        ((1, None), "cat", False),
        ((None, "owl"), "owl", True),
        ((None, "owl"), "cat", False),
        ((5, None), "owl", None),
        ((None, None), "cat", None),
        ((0, None), 0.5, None),
    ],
)
def test_whether_a_result_was_right(
    predicted: tuple[int | None, str | None], label: float | str, same: bool | None
) -> None:
    assert same_class(predicted, labelled_class(label), ("cat", "dog")) is same
