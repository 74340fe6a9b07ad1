# SPDX-License-Identifier: Apache-2.0
"""The parent's end of a line: what one caller at a time asks a child's engine by.

A line is a socket of packets and an area of memory, both made for it, so a call is a packet
there and one back. What a caller passes is copied into the area, what it gets is copied out of it.
Calls that look alike are described once.
"""

import mmap
import socket
from typing import Any

import msgspec
from numpy.typing import NDArray

from insight_edge.runtime.child import wire

Looks = list[tuple[str, Any, tuple[int, ...]]]


class Line:
    """One caller's way to a child.

    Args:
        ours: the socket's end that stays here.
        memory: the area, mapped.
        call_s: that an answer may take.
    """

    def __init__(self, ours: socket.socket, memory: mmap.mmap, call_s: float) -> None:
        self._socket, self._memory = ours, memory
        self._socket.settimeout(call_s)
        self._looks: Looks = []
        self._packet = self._reply = b""
        self._inputs: list[NDArray[Any]] = []
        self._outputs: dict[str, NDArray[Any]] = {}

    def ask(self, inputs: wire.Arrays) -> dict[str, NDArray[Any]] | wire.Failed | wire.Narrow:
        """Return the outputs of a call, or why there are none.

        Raises:
            TimeoutError: there is no answer in time.
            EOFError, OSError: the child has ended.
            NonsenseError: it says what it should not.
            TypeError: an input is not of numbers, booleans or text.
        """
        looks = [(name, array.dtype, array.shape) for name, array in inputs.items()]
        if looks != self._looks:
            narrow = self._describe(inputs, looks)
            if narrow is not None:
                return narrow
        for place, array in zip(self._inputs, inputs.values(), strict=True):
            place[...] = array
        self._socket.send(self._packet)
        reply = self._socket.recv(wire.MAX_PACKET_BYTES)
        if not reply:
            raise EOFError
        if reply != self._reply:
            found = _understood(reply)
            if not isinstance(found, wire.Answered):
                return found
            self._outputs, self._reply = _views(found, self._memory), reply
        return {name: place.copy() for name, place in self._outputs.items()}

    def close(self) -> None:
        """Hang up; the child forgets the line, too."""
        self._socket.close()

    def _describe(self, inputs: wire.Arrays, looks: Looks) -> wire.Narrow | None:
        tensors, end = wire.placed(inputs)
        if end > len(self._memory):
            return wire.Narrow(end)
        self._inputs = list(wire.views(tensors, self._memory).values())
        self._packet, self._looks = wire.packet(tensors), looks
        return None


def _understood(reply: bytes) -> wire.Answered | wire.Failed | wire.Narrow:
    try:
        found: wire.Answered | wire.Failed | wire.Narrow = wire.replies.decode(reply)
    except msgspec.MsgspecError as error:
        raise wire.NonsenseError(str(error)) from error
    return found


def _views(found: wire.Answered, memory: mmap.mmap) -> dict[str, NDArray[Any]]:
    try:
        return wire.views(found.tensors, memory)
    except ValueError as error:
        raise wire.NonsenseError(str(error)) from error
