# SPDX-License-Identifier: Apache-2.0
"""Parts of messages: whichever way they are read, they say what a decoder reads of each alone."""

import math
from collections.abc import Callable
from functools import partial
from itertools import combinations, product
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_cloud.telemetry.parts import buckets, decimals, floats, integers
from insight_edge.errors import DocumentError
from insight_edge.stats.columns import integers as integers_of_any_size

NAMES = {str(index): index for index in range(1216)}
REFUSALS = (DocumentError, KeyError, OverflowError, ValueError)

SHORT = st.integers(0, 127)
ODD = (
    SHORT
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.none()
    | st.booleans()
    | st.text(max_size=4)
    | st.binary(max_size=4)
    | st.lists(SHORT, max_size=3)
)
DECIMAL = st.integers(-(10**20), 10**20).map(str)
ODD_DECIMAL = (
    DECIMAL
    | ODD
    | st.sampled_from(
        ["", "-", "1-2", "--1", "1e3", "1.0", "007", "-0", "+5", "1_0", " 1", "٣", "5" * 40, 46, 48]
    )
)
NAME = st.integers(100, 999).map(str)
ODD_NAME = NAME | st.sampled_from(["5", "1215", "1216", "099", "12a", "", "-10"])


def part(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.msgpack.encode(value))


def rows(one: st.SearchStrategy[Any], length: int) -> st.SearchStrategy[list[Any]]:
    """Return some arrays of a length, most of what is expected."""
    return st.lists(st.lists(one, min_size=length, max_size=length), min_size=1, max_size=4)


def read_alone(value: object, kind: Any) -> Any:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(value), type=kind)


def alike(read: Callable[[], Any], expected: Callable[[], Any]) -> None:
    """Both return the same, or both refuse."""
    try:
        found = read()
    except REFUSALS:
        with pytest.raises((*REFUSALS, msgspec.MsgspecError)):
            expected()
    else:
        assert found == expected()


@given(st.data(), st.sampled_from([0, 1, 15, 16, 48]))
def test_integers_are_read_as_each_alone_is(data: st.DataObject, length: int) -> None:
    several = data.draw(rows(SHORT, length) | rows(SHORT | ODD, length))
    several += data.draw(st.lists(st.lists(SHORT, max_size=3), max_size=1))
    alike(
        lambda: integers([*map(part, several)], (length,)).tolist(),
        lambda: np.array([read_alone(each, list[int]) for each in several], np.int64).tolist(),
    )


@given(st.data(), st.integers(1, 17), st.integers(1, 17))
def test_tables_are_read_as_each_alone_is(data: st.DataObject, height: int, width: int) -> None:
    numbers = SHORT if data.draw(st.booleans()) else SHORT | st.integers(-200, 2**40)
    row = st.lists(numbers, min_size=width, max_size=width)
    several = data.draw(rows(row, height))
    several += data.draw(st.lists(st.lists(st.lists(SHORT, max_size=3), max_size=3), max_size=1))
    alike(
        lambda: integers([*map(part, several)], (height, width)).tolist(),
        lambda: np.array([read_alone(e, list[list[int]]) for e in several], np.int64).tolist(),
    )


@pytest.mark.parametrize("odd", [[[200, 0, 0], [0] * 4], [[0, 0, 200], [0] * 4]])
def test_a_table_of_another_shape_and_the_same_length_is_not_taken_for_others(
    odd: list[list[int]],
) -> None:
    packed = [part(each) for each in ([[0] * 4] * 2, odd)]
    assert len({len(bytes(each)) for each in packed}) == 1
    with pytest.raises(ValueError, match="inhomogeneous"):
        integers(packed, (2, 4))


@given(st.data(), st.sampled_from([0, 1, 15, 16]))
def test_floats_are_read_as_each_alone_is(data: st.DataObject, length: int) -> None:
    real = st.floats(allow_nan=False)
    several = data.draw(rows(real, length) | rows(real | st.none(), length) | rows(ODD, length))

    def expected() -> Any:
        read = [read_alone(each, list[float | None]) for each in several]
        return np.array([[math.inf if v is None else v for v in row] for row in read]).tolist()

    alike(
        lambda: repr(floats([*map(part, several)], length, math.inf).tolist()),
        lambda: repr(expected()),
    )


def test_short_floats_are_read() -> None:
    packed = msgspec.Raw(b"\x92\xca\x3f\x80\x00\x00\xcb\x40\x00\x00\x00\x00\x00\x00\x00")
    assert floats([packed, part([3, None])], 2, 0.5).tolist() == [[1.0, 2.0], [3.0, 0.5]]


@given(st.data(), st.sampled_from([0, 1, 15, 16, 46, 48]))
def test_decimals_are_read_as_each_alone_is(data: st.DataObject, length: int) -> None:
    several = data.draw(rows(DECIMAL, length) | rows(ODD_DECIMAL, length))

    def expected() -> list[list[int]]:
        return [[*map(int, read_alone(each, list[str]))] for each in several]

    alike(lambda: decimals([*map(part, several)], length).tolist(), expected)


def test_sums_beyond_64_bits_are_read() -> None:
    found = decimals([part(["1", "-" + "9" * 30]), part(["0", "2"])], 2)
    assert found.tolist() == [[1, -(10**30 - 1)], [0, 2]]


@given(
    st.lists(
        st.dictionaries(NAME, SHORT, max_size=20)
        | st.dictionaries(ODD_NAME, SHORT | ODD, max_size=20),
        min_size=1,
        max_size=4,
    ),
    st.booleans(),
)
def test_buckets_are_read_as_each_alone_is(several: list[Any], is_ordered: bool) -> None:
    if is_ordered:
        several = [dict(sorted(each.items())) for each in several]

    def expected() -> list[dict[int, int]]:
        read = [read_alone(each, dict[str, int]) for each in several]
        np.array([count for each in read for count in each.values()], np.int64)
        return [{NAMES[name]: count for name, count in each.items()} for each in read]

    alike(lambda: read_buckets([*map(part, several)]), expected)


@pytest.mark.parametrize("name", ["5", "56", "1215"])
def test_names_of_other_lengths_are_read(name: str) -> None:
    assert read_buckets([part({name: 4}), part({"123": 9})]) == [{int(name): 4}, {123: 9}]


def test_of_a_bucket_that_is_named_twice_the_later_counts() -> None:
    twice = msgspec.Raw(b"\x82\xa3123\x05\xa3123\x06")
    assert [each.tolist() for each in buckets([twice], NAMES)] == [[1], [123], [6]]


def read_buckets(parts: list[msgspec.Raw]) -> list[dict[int, int]]:
    sizes, indices, counts = buckets(parts, NAMES)
    pairs = iter(zip(indices.tolist(), counts.tolist(), strict=True))
    return [dict(next(pairs) for _ in range(size)) for size in sizes]


def numbers(values: Any) -> Any:
    return np.array(values, np.int64).tolist()


class Kind(NamedTuple):
    """A way to read parts, and what it should return of what each alone is decoded to."""

    read: Callable[[list[msgspec.Raw]], Any]
    plain: Any
    expected: Callable[[list[Any]], Any]
    good: object


KINDS = {
    "integers": Kind(lambda p: integers(p, (3,)).tolist(), list[int], numbers, [1, 2, 3]),
    "tables": Kind(
        lambda p: integers(p, (2, 2)).tolist(), list[list[int]], numbers, [[1, 2], [3, 4]]
    ),
    "floats": Kind(
        lambda p: repr(floats(p, 1, 9.0).tolist()),
        list[float | None],
        lambda several: repr(
            np.array([[9.0 if v is None else v for v in each] for each in several]).tolist()
        ),
        [-1.5],
    ),
    "decimals": Kind(
        lambda p: decimals(p, 3).tolist(),
        list[str],
        lambda several: integers_of_any_size([[*map(int, each)] for each in several]).tolist(),
        ["12", "-3", "0"],
    ),
    "buckets": Kind(
        read_buckets,
        dict[str, int],
        lambda several: [
            {NAMES[name]: numbers(count) for name, count in each.items()} for each in several
        ],
        {"123": 4, "567": 8},
    ),
}


def read_each_alone(kind: Kind, several: list[msgspec.Raw]) -> Any:
    return kind.expected([msgspec.msgpack.decode(each, type=kind.plain) for each in several])


TELLING = bytes.fromhex("00 2d 2e 2f 30 31 39 3a 5f 65 7f 80 81 82 83 90 91 92 93 94 a0 a1 a2 a3")
TELLING += bytes.fromhex("a4 c0 c2 c3 ca cb cc cd d0 d9 dc e0 ff")


@pytest.mark.parametrize("name", KINDS)
def test_two_bytes_of_damage_change_what_is_read_or_have_it_refused(name: str) -> None:
    kind = KINDS[name]
    good = bytes(part(kind.good))
    places = [*combinations(range(min(len(good), 8)), 2)]
    read = 0
    for (one, other), first, second in product(places, TELLING, TELLING):
        damaged = bytearray(good)
        damaged[one], damaged[other] = first, second
        try:
            raw = msgspec.msgpack.decode(damaged, type=msgspec.Raw)
        except msgspec.MsgspecError:
            continue  # it does not come this far
        for several in ([raw], [part(kind.good), raw], [raw, part(kind.good)]):
            alike(partial(kind.read, several), partial(read_each_alone, kind, several))
            read += 1
    assert read > 1000
