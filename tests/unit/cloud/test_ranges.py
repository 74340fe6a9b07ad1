# SPDX-License-Identifier: Apache-2.0
"""What a `Range` header asks for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_cloud.app.ranges import ByteRange, byte_range


@pytest.mark.parametrize(
    ("header", "asked"),
    [
        (None, ByteRange(0, 10)),
        ("", ByteRange(0, 10)),
        ("bytes=0-", ByteRange(0, 10, partial=True)),
        ("bytes=3-", ByteRange(3, 10, partial=True)),
        ("bytes=3-3", ByteRange(3, 4, partial=True)),
        ("bytes=3-99", ByteRange(3, 10, partial=True)),
        ("bytes=-4", ByteRange(6, 10, partial=True)),
        ("bytes=-99", ByteRange(0, 10, partial=True)),
        ("bytes=10-", ByteRange(0, 0, unsatisfiable=True)),
        ("bytes=-0", ByteRange(0, 0, unsatisfiable=True)),
        ("bytes=5-3", ByteRange(0, 10)),
        ("bytes=-", ByteRange(0, 10)),
        ("bytes=1-2,4-5", ByteRange(0, 10)),
        ("rows=1-2", ByteRange(0, 10)),
        ("bytes=1-" + 19 * "9", ByteRange(0, 10)),
    ],
)
def test_range_is_what_rfc_9110_says(header: str | None, asked: ByteRange) -> None:
    assert byte_range(header, 10) == asked


@given(st.text(max_size=30), st.integers(0, 100))
def test_no_header_asks_for_more_than_there_is(header: str, length_bytes: int) -> None:
    for text in (header, f"bytes={header}"):
        part = byte_range(text, length_bytes)
        assert 0 <= part.start <= part.end <= length_bytes
