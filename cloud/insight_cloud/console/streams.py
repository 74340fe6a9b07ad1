# SPDX-License-Identifier: Apache-2.0
"""Live parts of pages: a fragment is sent when it has changed, and only then.

A stream ends when the browser goes, the session ends, the process stops, or after
`LONGEST_S`, when the browser asks again.
"""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response, StreamingResponse

from insight_edge.errors import InsightEdgeError

MAX_STREAMS = 64
EACH_S = 1.0
STEP_S = 0.2
QUIET_S = 15.0
"""After so long a comment is sent, so that no proxy takes the connection for dead."""

LONGEST_S = 600.0
SIGNED_OUT = "event: signed-out\ndata: .\n\n"

Fragments = Callable[[], Mapping[str, str]]

_log = logging.getLogger(__name__)


class Streams:
    """The open streams of one process.

    Attributes:
        stopping: is set when the process is told to stop; every stream ends soon after.
    """

    def __init__(self, most: int = MAX_STREAMS) -> None:
        self.stopping = threading.Event()
        self._most = most
        self._open = 0

    @property
    def open(self) -> int:
        """How many there are."""
        return self._open

    def answer(
        self,
        request: Request,
        fragments: Fragments,
        signed_in: Callable[[], bool],
    ) -> Response:
        """Return a stream of fragments, or 503 where there are too many.

        Args:
            request: whose end ends the stream.
            fragments: makes them, by the selector of the element that each is the inside of.
            signed_in: whether whoever asked may still see it.
        """
        if self._open >= self._most or self.stopping.is_set():
            return Response("too many live pages", 503, {"Retry-After": "10"})
        self._open += 1
        told = self._told(request, fragments, signed_in)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return Stream(told, self._closed, headers)

    def _closed(self) -> None:
        self._open -= 1

    async def _told(
        self,
        request: Request,
        fragments: Fragments,
        signed_in: Callable[[], bool],
    ) -> AsyncIterator[str]:
        last, said_s = None, time.monotonic()
        ends_s = said_s + LONGEST_S
        while time.monotonic() < ends_s:
            if not await run_in_threadpool(signed_in):
                yield SIGNED_OUT
                return
            try:
                text = event(await run_in_threadpool(fragments))
            except InsightEdgeError as error:
                _log.warning("a live page ended: %s", error)
                return
            if text != last:
                last, said_s = text, time.monotonic()
                yield text
            elif time.monotonic() - said_s > QUIET_S:
                said_s = time.monotonic()
                yield ": still here\n\n"
            if not await self._go_on(request):
                return

    async def _go_on(self, request: Request) -> bool:
        """Wait for the next turn; False where there is none."""
        turn_s = time.monotonic() + EACH_S
        while time.monotonic() < turn_s:
            if self.stopping.is_set() or await request.is_disconnected():
                return False
            await asyncio.sleep(STEP_S)
        return True


class Stream(StreamingResponse):
    """A response that says when it is over, however it ended."""

    def __init__(
        self, told: AsyncIterator[str], closed: Callable[[], None], headers: dict[str, str]
    ) -> None:
        super().__init__(told, headers=headers, media_type="text/event-stream")
        self._closed = closed

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._closed()


def event(fragments: Mapping[str, str]) -> str:
    """Return fragments as an event that puts each into the element of its selector."""
    parts = "".join(
        f'<hx-partial hx-target="{target}" hx-swap="innerMorph">{text}</hx-partial>'
        for target, text in fragments.items()
    )
    return "".join(f"data: {line}\n" for line in parts.splitlines()) + "\n"
