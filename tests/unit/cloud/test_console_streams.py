# SPDX-License-Identifier: Apache-2.0
"""What a live page is told, and when nothing is."""

import asyncio
from collections.abc import Iterator, Mapping

import pytest
from fastapi import Request

from insight_cloud.console import streams
from insight_cloud.console.streams import SIGNED_OUT, Stream, Streams, event
from insight_cloud.platform.errors import NotFoundError

SCOPE = {"type": "http", "method": "GET", "path": "/", "headers": []}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "EACH_S", 0.002)
    monkeypatch.setattr(streams, "STEP_S", 0.001)


def told(texts: list[str | None], *, turns: int = 100) -> list[str]:
    """Return what a browser is told while a fragment reads so; None is where it is gone."""
    left: Iterator[str | None] = iter(texts)
    open_ones = Streams()
    seen: list[str] = []

    def fragments() -> Mapping[str, str]:
        text = next(left)
        if text is None:
            raise NotFoundError("gone")
        return {"#x": text}

    async def listen() -> None:
        async def receive() -> dict[str, str]:
            await asyncio.Event().wait()
            return {}

        asked = Request(SCOPE, receive)
        response = open_ones.answer(asked, fragments, lambda: len(seen) < turns)
        assert isinstance(response, Stream)
        seen.extend([str(part) async for part in response.body_iterator])

    asyncio.run(asyncio.wait_for(listen(), 30))
    return seen


def test_only_what_changed_is_told() -> None:
    assert told(["a", "a", "a", "b", "b", None]) == [event({"#x": "a"}), event({"#x": "b"})]


def test_silence_is_broken_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "QUIET_S", 0.0)
    assert told(["a", "a", None]) == [event({"#x": "a"}), ": still here\n\n"]


def test_whoever_signed_out_is_told_so_and_nothing_more() -> None:
    assert told(["a"], turns=0) == [SIGNED_OUT]


def test_no_stream_lasts_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "LONGEST_S", 0.0)
    assert told(["a"]) == []


def test_lines_of_a_fragment_stay_lines_of_one_event() -> None:
    assert event({"#x": "one\ntwo"}) == (
        'data: <hx-partial hx-target="#x" hx-swap="innerMorph">one\ndata: two</hx-partial>\n\n'
    )
