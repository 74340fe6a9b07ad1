# SPDX-License-Identifier: Apache-2.0
"""How values are written on pages, and what forms may hold."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_cloud.console import words
from insight_cloud.console.forms import MAX_FIELDS, MAX_TEXT, parse_form
from insight_cloud.console.tags import tag_of
from insight_edge.errors import DocumentError, LimitExceededError

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("back_s", "text"),
    [
        (0, "now"),
        (4, "now"),
        (12, "12 s ago"),
        (59.9, "59 s ago"),
        (61, "1 min ago"),
        (3600, "1 h ago"),
        (47 * 3600, "47 h ago"),
        (172_800, "2 d ago"),
        (-300, "in 5 min"),
    ],
)
def test_moment_is_told_from_now(back_s: float, text: str) -> None:
    assert words.relative(NOW - timedelta(seconds=back_s), NOW) == text


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_any_number_of_a_device_can_be_written(value: float) -> None:
    assert words.figure(value)
    moment = words.moment_of(value)
    assert moment is None or moment.tzinfo is UTC


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, words.MISSING), (float("nan"), words.MISSING), (0, "0"), (0.05213, "0.0521"),
     (1234.6, "1235"), (12345, "12\u202f345"), (97.0, "97")],
)  # fmt: skip
def test_figures_have_as_many_digits_as_they_need(value: float | None, text: str) -> None:
    assert words.figure(value) == text


def test_sizes_and_spans_have_the_unit_that_is_read_at_a_glance() -> None:
    assert [words.size(n) for n in (None, 999, 1000, 2_100_000)] == [
        words.MISSING, "999 B", "1.0 kB", "2.1 MB",
    ]  # fmt: skip
    assert [words.span(s) for s in (None, 2.25, 61, 7260, 90_000)] == [
        words.MISSING, "2.2 s", "1 min 1 s", "2 h 1 min", "1 d 1 h",
    ]  # fmt: skip


def test_state_that_nobody_foresaw_is_shown_by_its_name() -> None:
    assert (tag_of("rolled_back").text, tag_of("rolled_back").kind) == ("rolled back", "warn")
    assert (tag_of("Hibernating").text, tag_of("Hibernating").kind) == ("hibernating", "")


def test_form_is_read_within_bounds() -> None:
    form = parse_form(b"name=+kim+&empty=&name2=%C3%A4")
    assert (form.text("name"), form.text("empty"), form.text("name2")) == ("kim", None, "ä")
    with pytest.raises(DocumentError, match="the empty one is missing"):
        form.needed("empty", "the empty one")
    with pytest.raises(LimitExceededError):
        parse_form(b"a=" + b"x" * (MAX_TEXT + 1))
    with pytest.raises(DocumentError):
        parse_form(b"&".join(b"a=1" for _ in range(MAX_FIELDS + 1)))
    with pytest.raises(DocumentError):
        parse_form(b"a=\xff")


@pytest.mark.parametrize("text", ["", "-1", "1.5", "٣", "1" * 16, "x"])
def test_number_in_a_form_is_one_that_can_be_meant(text: str) -> None:
    with pytest.raises(DocumentError):
        parse_form(f"n={text}".encode()).number("n", "the number")
