# SPDX-License-Identifier: Apache-2.0
"""Reports as arrays: added, kept and refused as `Totals` would one by one."""

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from insight_cloud.telemetry import hours
from insight_cloud.telemetry.batch import Batch, stacked
from insight_cloud.telemetry.checking import check
from insight_cloud.telemetry.heads import ReportHead
from insight_cloud.telemetry.keeping import NO_COUNTS, pack, unpack
from insight_cloud.telemetry.packing import PackedBatch, pack_batch, unpack_batch
from insight_cloud.telemetry.rules import KnownBundle
from insight_cloud.telemetry.totals import NOTHING, totals_from_report
from insight_edge.documents.codec import to_plain
from insight_edge.documents.report import Report
from insight_edge.errors import DocumentError
from insight_edge.stats.latency import BUCKETS, lower_edge
from tests.fakes.telemetry import KNOWN, batch, merged, report, sum_of


def odd(seed: int, shape: int) -> Report:
    """Return a report, of some of which one side or both are not counted."""
    sides = [(), ("inputs",), ("outputs",), ("inputs", "outputs")][shape]
    left_out: dict[str, Any] = dict.fromkeys(sides)
    return report(seed=seed, rows=seed % 7, **left_out)


REPORTS = st.lists(st.builds(odd, st.integers(0, 40), st.integers(0, 3)), min_size=1, max_size=8)


@given(REPORTS, st.data())
def test_a_batch_adds_up_to_what_its_reports_do(reports: list[Report], data: st.DataObject) -> None:
    inner = data.draw(st.sets(st.integers(1, len(reports)), max_size=3))
    starts = [0, *sorted(inner - {len(reports)})]
    found = batch(reports).add_groups(starts)
    ends = [*starts[1:], len(reports)]
    for index, (begin, end) in enumerate(zip(starts, ends, strict=True)):
        expected = sum_of(reports[begin:end])
        assert found.totals(index) == expected
        counted = expected.inputs or expected.outputs
        assert found.rows[index] == (0 if counted is None else counted.count)


@given(REPORTS)
def test_totals_come_back_as_they_were_kept(reports: list[Report]) -> None:
    total = batch(reports)
    figures = np.column_stack([total.reports, total.counts]).tolist()
    kept = unpack([*pack(total), b""], [*figures, NO_COUNTS], KNOWN)
    assert [kept.totals(index) for index in range(len(reports))] == [
        totals_from_report(each, KNOWN) for each in reports
    ]
    assert kept.totals(len(reports)) == NOTHING


def test_sums_beyond_64_bits_come_back_beside_short_ones() -> None:
    total = batch([report(1), report(2), report(3)])
    assert total.inputs is not None
    squares = total.inputs.columns.squares.astype(np.object_)
    squares[1, 0] = 2**80
    columns = msgspec.structs.replace(total.inputs.columns, squares=squares)
    large = replace(total, inputs=replace(total.inputs, columns=columns))
    kept = unpack(pack(large), [NO_COUNTS] * 3, KNOWN)
    assert kept.inputs is not None
    assert kept.inputs.columns.squares.tolist() == squares.tolist()
    assert len(pack(large)[0]) < 1000


@pytest.mark.parametrize("more", [0, 2**7, 2**8, 2**15, 2**16, 2**31, 2**32, 2**62])
def test_counts_of_many_bits_come_back_beside_short_ones_and_as_they_were_kept_before(
    more: int,
) -> None:
    short, busy = batch([report(1)]), batch([report(2), report(3)])
    assert busy.inputs is not None
    bins = busy.inputs.columns.bins + more
    columns = msgspec.structs.replace(busy.inputs.columns, bins=bins)
    wide = replace(busy, inputs=replace(busy.inputs, columns=columns))
    packed = [*pack(short), pack(wide)[0], before_widths(pack(wide)[1])]
    kept = unpack(packed, [NO_COUNTS] * 3, KNOWN)
    assert kept.inputs is not None
    assert kept.inputs.columns.bins[1:].tolist() == bins.tolist()
    assert kept.latency.held_by(0) == short.latency.held_by(0)
    assert kept.latency.held_by(2) == busy.latency.held_by(1)


def before_widths(packed: bytes) -> bytes:
    """Return totals as they were kept when all counts had 64 bits."""
    plain = msgspec.msgpack.decode(packed)
    sides = [plain[name] for name in ("inputs", "outputs") if plain[name]]
    for part, names in [(plain, ("indices", "counts")), *((side, ("numbers",)) for side in sides)]:
        width = part.pop("width")
        for name in names:
            part[name] = np.frombuffer(part[name], f"<u{width}").astype("<i8").tobytes()
    return zstandard.compress(msgspec.msgpack.encode(plain))


def test_totals_of_another_grid_are_not_read() -> None:
    packed = pack(batch([report()]))
    for known in (KnownBundle(), KnownBundle(inputs=KNOWN.outputs, outputs=KNOWN.outputs)):
        with pytest.raises(DocumentError, match="another grid"):
            unpack(packed, [NO_COUNTS], known)


def head(each: Report) -> ReportHead:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(to_plain(each)), type=ReportHead)


def spoiled(sequence: int, **changes: Any) -> Report:
    document = report().inputs
    assert document is not None
    return report(sequence, inputs=msgspec.structs.replace(document, **changes))


BAD = [
    lambda n: head(spoiled(n, bins=((2**64 - 1, 0, 0, 0), (5, 0, 0, 0)))),
    lambda n: head(spoiled(n, bins=((5, 0, 0, 0),))),
    lambda n: head(spoiled(n, bins=((5, 0, 0), (5, 0, 0, 0)))),
    lambda n: head(spoiled(n, sums=("x", "0"))),
    lambda n: head(spoiled(n, sums=("1" * 4000, "0"))),
    lambda n: head(spoiled(n, missing=(1, 0))),
    lambda n: head(spoiled(n, names=("a",))),
    lambda n: head(report(n, latency=msgspec.structs.replace(report().latency, total_ns=1))),
    lambda n: head(report(n, latency=msgspec.structs.replace(report().latency, count=4))),
]


@given(st.lists(st.none() | st.sampled_from(BAD), max_size=24))
def test_the_good_are_told_from_the_bad_wherever_they_stand(kinds: list[Any]) -> None:
    several = [
        head(report(number)) if kind is None else kind(number) for number, kind in enumerate(kinds)
    ]
    found = check(several, KNOWN)
    good = [number for number, kind in enumerate(kinds) if kind is None]
    assert [*found.good] == good
    assert found.refused.keys() == set(range(len(kinds))) - set(good)
    if found.batch is None:
        assert not good
    else:
        assert merged([found.batch.totals(index) for index in range(len(good))]) == sum_of(
            [report(number) for number in good]
        )


def test_a_bundle_that_counts_nothing_has_no_statistics() -> None:
    found = check([head(report(0)), head(report(1, inputs=None, outputs=None))], KnownBundle())
    assert [*found.good] == [1]
    assert str(found.refused[0]) == "summary: the bundle counts nothing there"


@given(REPORTS)
def test_a_batch_comes_back_as_it_was_packed(reports: list[Report]) -> None:
    packed = msgspec.msgpack.encode(pack_batch(batch(reports)))
    found = unpack_batch(msgspec.msgpack.decode(packed, type=PackedBatch), KNOWN)
    assert [found.totals(index) for index in range(len(reports))] == [
        totals_from_report(each, KNOWN) for each in reports
    ]


@given(st.integers(-(2**70), 2**70), st.integers(0, 2**63 - 1))
def test_integers_of_any_size_come_back_as_they_were_packed(total: int, count: int) -> None:
    held = batch([report(1), report(2)])
    assert held.inputs is not None
    held.counts[0, 0] = count
    squares = held.inputs.columns.squares.astype(np.object_)
    squares[1, 0] = total
    columns = msgspec.structs.replace(held.inputs.columns, squares=squares)
    found = unpack_batch(
        pack_batch(replace(held, inputs=replace(held.inputs, columns=columns))), KNOWN
    )
    assert found.inputs is not None
    assert found.inputs.columns.squares.tolist() == squares.tolist()
    assert found.counts.tolist() == held.counts.tolist()


def test_a_batch_of_another_grid_is_not_unpacked() -> None:
    packed = pack_batch(batch([report()]))
    for known in (KnownBundle(), KnownBundle(inputs=KNOWN.outputs, outputs=KNOWN.outputs)):
        with pytest.raises(DocumentError, match="another grid"):
            unpack_batch(packed, known)


def long_ones(count: int) -> Batch:
    """Return reports of which no three add up."""
    found, long_ns = batch([report(number) for number in range(count)]), lower_edge(BUCKETS - 1)
    found.latency.total_ns[:] = 2**20 * long_ns
    return found


@pytest.mark.parametrize(
    ("places", "left_out"),
    [([0, 0, 0, 0], [1, 2, 3]), ([1, 0, 1, 1], [2, 3]), ([1, 1, 2, 2], [1, 3])],
)
def test_a_total_that_can_hold_no_more_leaves_reports_out(
    places: list[int], left_out: list[int]
) -> None:
    held, added = long_ones(3), long_ones(4)
    total, found = hours.add(held, places, added)
    assert found == left_out
    kept = [index for index in range(4) if index not in left_out]
    for place in range(3):
        assert total.reports[place] == 1 + sum(places[index] == place for index in kept)


@given(REPORTS, REPORTS, st.data())
def test_reports_are_added_each_to_its_total(
    kept: list[Report], new: list[Report], data: st.DataObject
) -> None:
    place = st.integers(0, len(kept) - 1)
    places = data.draw(
        st.permutations(range(len(kept))).map(lambda order: order[: len(new)])
        if len(new) <= len(kept) and data.draw(st.booleans())
        else st.lists(place, min_size=len(new), max_size=len(new))
    )
    total, left_out = hours.add(batch(kept), places, batch(new))
    assert left_out == []
    for index, one in enumerate(kept):
        mine = [each for each, at in zip(new, places, strict=True) if at == index]
        assert total.totals(index) == sum_of([one, *mine])


def test_parts_with_other_latencies_stack() -> None:
    one, two = batch([report(1), report(2)]), batch([report(3, rows=0)])
    both = stacked([one, two, one])
    assert [both.totals(index) for index in range(5)] == [
        totals_from_report(report(n, rows=0 if n == 3 else 5), KNOWN) for n in (1, 2, 3, 1, 2)
    ]
