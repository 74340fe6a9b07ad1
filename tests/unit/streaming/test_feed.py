# SPDX-License-Identifier: Apache-2.0
import itertools
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_edge.errors import ConfigurationError, SourceError
from insight_edge.streaming import feed as feeding
from insight_edge.streaming.buffer import Ended
from insight_edge.streaming.feed import FIRST_PAUSE_S, LONGEST_PAUSE_S, Feed, pause_s
from insight_edge.streaming.seam import Item, Rest


class Readings:
    """A source that goes on with what the next of its readings yields or raises."""

    def __init__(self, *readings: Iterator[Item | Exception]) -> None:
        self.readings, self.closed = iter(readings), 0

    def items(self, rest: Rest) -> Generator[Item | None, None, None]:
        del rest
        try:
            for item in next(self.readings):
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            self.closed += 1


def rows(*numbers: int, over: Callable[[], None] = lambda: None) -> list[Item | Exception]:
    return [Item(str(number), b"", over=over) for number in numbers]


def taken(feed: Feed) -> list[str]:
    found = []
    with suppress(Ended):
        while (item := feed.take(10)) is not None:
            found.append(item.key)
    return found


def test_source_that_dies_is_told_and_opened_again() -> None:
    died = SourceError("no frame\nany more")
    source = Readings(iter([*rows(1, 2), died]), iter([died]), iter(rows(3)))
    with Feed(source) as feed:
        assert taken(feed) == ["1", "2", "3"]
        told = feed.statistics
    assert (told.restarts, told.offered, source.closed) == (2, 3, 3)
    assert told.error == "SourceError: no frame?any more"


def test_what_a_person_has_to_mend_ends_it_after_what_came_before() -> None:
    source = Readings(iter([*rows(1), ConfigurationError("no such file")]))
    with Feed(source) as feed:
        item = feed.take(10)
        assert item is not None
        with pytest.raises(ConfigurationError, match="no such file"):
            feed.take(10)


def test_rows_that_the_source_lost_are_counted_apart() -> None:
    source = Readings(iter([Item("1", b"", lost=3), Item("2", b"", lost=2)]))
    with Feed(source) as feed:
        assert taken(feed) == ["1", "2"]
        assert (feed.statistics.lost, feed.statistics.dropped) == (5, 0)


def test_row_that_is_dropped_is_over_and_one_that_waits_is_not() -> None:
    over: list[int] = []
    ended = threading.Event()

    def items() -> Iterator[Item | Exception]:
        for number in range(3):
            yield Item(str(number), b"", over=partial(over.append, number))
        ended.set()

    with Feed(Readings(items()), policy="latest"):
        assert ended.wait(10)
    assert over == [0, 1]


def test_source_that_hangs_does_not_keep_the_feed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "END_S", 0.01)
    let = threading.Event()

    def items() -> Iterator[Item | Exception]:
        let.wait(10)
        yield from rows(1)

    feed = Feed(Readings(items()))
    assert not feed.close()
    let.set()


@given(st.integers(1, 10_000))
def test_pauses_grow_and_are_bounded(failures: int) -> None:
    pause = pause_s(failures)
    assert FIRST_PAUSE_S <= pause <= LONGEST_PAUSE_S
    assert pause <= pause_s(failures + 1)


def test_endless_source_is_closed_where_it_is() -> None:
    source = Readings(Item(str(number), b"") for number in itertools.count())
    with Feed(source, capacity=2) as feed:
        assert feed.take(10) is not None
    assert source.closed == 1
