# SPDX-License-Identifier: Apache-2.0
"""The event loop of the server: where it listens, who is late, and how it ends.

It ends by a signal: it listens no more, answers what is under way, and lets idle clients go.
What is listened on is in `place`.
"""

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

from insight_edge.serve.access import Access
from insight_edge.serve.answering import Answered, Engine
from insight_edge.serve.calls import Calls
from insight_edge.serve.connection import Connection
from insight_edge.serve.desk import Desk
from insight_edge.serve.limits import Limits
from insight_edge.serve.place import Place

SIGNALS = (signal.SIGTERM, signal.SIGINT)


READ_BYTES = 256 * 1024
"""At once, into one place for all connections: to ask for it anew each time is slower."""


class Server:
    """Serves an engine at a place until it is told to end.

    Args:
        engine: that is asked; it outlives the server.
        place: where to listen.
        access: what a request has to show.
        limits: what clients may take.
        name: what clients call the model; None for the name in its manifest.
        threads: calls at once.
        waiting: calls that wait for a thread, at most.
    """

    def __init__(
        self,
        engine: Engine,
        place: Place,
        *,
        access: Access,
        limits: Limits,
        name: str | None = None,
        threads: int,
        waiting: int,
    ) -> None:
        self.access, self.limits = access, limits
        self.buffer = memoryview(bytearray(READ_BYTES))
        self._engine, self._place, self._name = engine, place, name
        self._threads, self._waiting = threads, waiting
        self._connections: set[Connection] = set()
        self._reserved = 0

    def run(self, ready: Callable[[str], None]) -> None:
        """Serve until a signal asks to end, SIGTERM or SIGINT.

        Args:
            ready: called with the address as soon as it can be asked.

        Raises:
            ConfigurationError: it cannot listen there.
        """
        asyncio.run(self._run(ready))

    def now_s(self) -> float:
        """Return the loop's clock."""
        return self._loop.time()

    def enter(self, connection: Connection) -> bool:
        """Take a new connection in; return whether there was room."""
        self._connections.add(connection)
        self.desk.connections = len(self._connections)
        self._empty.clear()
        return len(self._connections) <= self.limits.connections

    def leave(self, connection: Connection) -> None:
        """Forget a connection."""
        self._connections.discard(connection)
        self.desk.connections = len(self._connections)
        if not self._connections:
            self._empty.set()

    def reserve(self, length_bytes: int) -> bool:
        """Return whether there was room for a body; it is given back by a negative length."""
        if self._reserved + length_bytes > self.limits.buffered_bytes:
            return False
        self._reserved += length_bytes
        return True

    async def _run(self, ready: Callable[[str], None]) -> None:
        self._loop, self._empty = asyncio.get_running_loop(), asyncio.Event()
        calls = Calls[Answered](self._loop, threads=self._threads, waiting=self._waiting)
        self.desk = Desk(self._engine, self._name, calls, self.limits.body_bytes)
        stop = self._stop_by_signal()
        listener = await self._place.listen(self._loop, lambda: Connection(self))
        looking = self._loop.create_task(self._look())
        try:
            ready(self._place.address)
            await stop.wait()
            self._place.leave()
            await self._drain(listener)
        finally:
            looking.cancel()
            calls.close()

    def _stop_by_signal(self) -> asyncio.Event:
        """Return what a signal sets. Its handler stays: what is closed later is not cut short."""
        stop = asyncio.Event()

        def handle(number: int, frame: FrameType | None) -> None:
            del number, frame
            with suppress(RuntimeError):  # the loop has ended already
                self._loop.call_soon_threadsafe(stop.set)

        for number in SIGNALS:
            signal.signal(number, handle)
        return stop

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(self.limits.tick_s)
            now_s = self.now_s()
            for connection in tuple(self._connections):
                connection.look(now_s)

    async def _drain(self, listener: asyncio.Server) -> None:
        self.desk.leaving = True
        listener.close()
        for connection in tuple(self._connections):
            connection.drain()
        if not self._connections:
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(self._empty.wait(), self.limits.drain_s)
        for connection in tuple(self._connections):
            connection.abort()
