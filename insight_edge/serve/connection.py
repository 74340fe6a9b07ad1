# SPDX-License-Identifier: Apache-2.0
"""One connection: bytes in, requests in order to the desk, answers out; late clients are let go.

One request of a connection is under way at a time; what a client sends meanwhile waits here, and
once that is much, in the kernel. What a request asks is not known here.
"""

import asyncio
import math
from typing import Final, Protocol

from insight_edge.serve.access import Access
from insight_edge.serve.desk import Desk
from insight_edge.serve.framing import Framing
from insight_edge.serve.head import Head
from insight_edge.serve.limits import Limits
from insight_edge.serve.refusal import RefusedError, Response, malformed
from insight_edge.serve.reply import CONTINUE, reply

PATIENT_BYTES: Final = 64 * 1024
"""More than this is not taken from a client whose request is under way; smaller bodies are free."""

LINGER_S: Final = 2.0
NEVER: Final = math.inf


class House(Protocol):
    """What connections share; a `Server`."""

    desk: Desk
    access: Access
    limits: Limits
    buffer: memoryview

    def now_s(self) -> float:
        """Return the loop's clock."""
        ...

    def enter(self, connection: "Connection") -> bool:
        """Take a new connection in; return whether there was room."""
        ...

    def leave(self, connection: "Connection") -> None:
        """Forget a connection."""
        ...

    def reserve(self, length_bytes: int) -> bool:
        """Return whether there was room for a body; it is given back by a negative length."""
        ...


class Connection(asyncio.BufferedProtocol):
    """Talks to one client.

    Attributes:
        due_s: by the loop's clock, when the client is late.
    """

    def __init__(self, house: House) -> None:
        self.due_s = NEVER
        self._house, self._limits = house, house.limits
        self._framing = Framing(house.limits, self._admit)
        self._reserved = 0
        self._unsent = 0
        self._busy = self._ended = self._last = self._stuck = self._begun = self._silent = False
        self._head: Head | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or say that there are too many."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 (for types alone)
        self._transport = transport
        if self._house.enter(self):
            self._wait(self._limits.head_s)
        else:
            self._refuse(RefusedError(503, "too many connections", headers=(("Retry-After", "1"),)))

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where to read into; what is there is taken before anybody else reads."""
        del sizehint
        return self._house.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what has arrived."""
        if self._ended:
            return  # said after the last answer: nobody reads it
        self._framing.feed(self._house.buffer[:nbytes])
        self._advance()

    def eof_received(self) -> bool:
        """Go on while an answer is under way: some clients say at once that it was all."""
        self._silent = True
        going_on = (self._busy or self._stuck) and not self._ended
        return going_on and self._transport.can_write_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client; a call that is under way for it is finished, and told to nobody."""
        del exc
        self._ended = True
        self._release()
        self._house.leave(self)

    def pause_writing(self) -> None:
        """Ask for nothing more on behalf of a client that does not read."""
        self._stuck = True
        self._unsent = self._transport.get_write_buffer_size()
        self._wait(self._limits.write_s)

    def resume_writing(self) -> None:
        """Go on."""
        self._stuck = False
        if self._ended:
            self._wait(LINGER_S)
        else:
            self._transport.resume_reading()
            self._advance()

    def drain(self) -> None:
        """End after the request under way; at once where there is none."""
        self._last = True
        if not (self._busy or self._framing.head or self._framing.waiting_bytes):
            self._transport.close()

    def abort(self) -> None:
        """End now."""
        self._transport.abort()

    def look(self, now_s: float) -> None:
        """Let a client go that is late."""
        if now_s < self.due_s:
            return
        if self._stuck and self._transport.get_write_buffer_size() < self._unsent:
            self.pause_writing()  # it reads, if slowly
        elif self._ended or self._stuck:
            self._transport.abort()
        elif self._framing.head or self._framing.waiting_bytes:
            self._refuse(malformed("the request was not whole in time", 408))
        else:
            self._transport.close()

    def _advance(self) -> None:
        """Hand over request after request, until one is answered later or none is whole."""
        while not (self._busy or self._ended or self._stuck):
            try:
                request = self._framing.next()
            except RefusedError as refused:
                self._refuse(refused)
                return
            if request is None:
                self._wait_for_more()
                return
            self._busy, self._head = True, request.head
            self.due_s = NEVER
            response = self._house.desk.take(request, self._deliver)
            if response is None:
                break
            self._answer(response)
        if self._framing.waiting_bytes > PATIENT_BYTES:
            self._transport.pause_reading()

    def _deliver(self, response: Response) -> None:
        if self._ended:
            return
        self._answer(response)
        self._transport.resume_reading()
        self._advance()

    def _answer(self, response: Response) -> None:
        head = self._head
        self._busy = self._begun = False
        self._release()
        stays = head is not None and head.keep_alive and not (self._last or response.closes)
        self._transport.write(reply(response, stays=stays))
        if not stays:
            self._finish()

    def _refuse(self, refused: RefusedError) -> None:
        response = refused.response
        self._house.desk.count(response)
        self._transport.write(reply(response, stays=False))
        self._finish()

    def _finish(self) -> None:
        """Say that it was all, and read on for a moment: to close at once could lose the answer."""
        self._ended = True
        self._release()
        if self._silent or self._transport.is_closing() or not self._transport.can_write_eof():
            self._transport.close()
            return
        self._transport.write_eof()
        if not self._stuck:
            self._wait(LINGER_S)

    def _admit(self, head: Head) -> None:
        """Look at a head before its body is waited for."""
        self._house.access.check(head)
        length = self._limits.body_bytes if head.length is None else head.length
        if length > PATIENT_BYTES:
            if not self._house.reserve(length):
                raise RefusedError(
                    503, "too much is being sent", headers=(("Retry-After", "1"),), closes=True
                )
            self._reserved = length
        self._wait(self._limits.body_time_s(length))
        if head.expects:
            self._transport.write(CONTINUE)

    def _wait_for_more(self) -> None:
        if self._framing.head is not None:
            return  # the time of a body began with it
        if self._silent or (self._last and not self._framing.waiting_bytes):
            self._transport.close()
        elif not self._framing.waiting_bytes:
            self._wait(self._limits.idle_s)
        elif not self._begun:
            self._begun = True
            self._wait(self._limits.head_s)

    def _wait(self, time_s: float) -> None:
        self.due_s = self._house.now_s() + time_s

    def _release(self) -> None:
        if self._reserved:
            self._house.reserve(-self._reserved)
            self._reserved = 0
