# SPDX-License-Identifier: Apache-2.0
"""A child and the lines to it that no caller has; where it ends, every caller is told how.

A line has one caller at a time. There are as many as callers were ever inside at once.
"""

import queue
from contextlib import suppress
from typing import Any

from numpy.typing import NDArray

from insight_edge.errors import InferenceFailedError
from insight_edge.runtime.child import wire
from insight_edge.runtime.child.line import Line
from insight_edge.runtime.child.process import Child


class Pool:
    """A child and its idle lines.

    Attributes:
        lost: what became of the child, once it ended.
        answered: whether it ever answered a call.
    """

    def __init__(self, child: Child) -> None:
        self.child = child
        self.lost: str | None = None
        self.answered = False
        self._idle: queue.SimpleQueue[Line] = queue.SimpleQueue()

    def ask(self, inputs: wire.Arrays) -> dict[str, NDArray[Any]]:
        """Return the outputs of a call.

        Raises:
            InferenceFailedError: the engine failed, or the child ended.
            OSError: this process has no descriptor or memory for a line.
            ValueError: the arrays are more than is ever shared.
            TypeError: an input is not of numbers, booleans or text.
        """
        try:
            return self._ask(inputs)
        except TimeoutError:
            self._lose("took too long for an answer and was ended")
        except (EOFError, ConnectionError):
            self._lose()
        except OSError:
            if self.lost is None:  # of this process: no descriptor is left
                raise
        except wire.NonsenseError as error:
            self._lose(f"said what it should not and was ended: {error}")
        raise InferenceFailedError(self.lost or "")

    def close(self) -> None:
        """End the child."""
        self._lose("is closed")

    def _ask(self, inputs: wire.Arrays) -> dict[str, NDArray[Any]]:
        try:
            line = self._idle.get_nowait()
        except queue.Empty:
            line = self.child.line(0)
        try:
            while isinstance(found := line.ask(inputs), wire.Narrow):
                line.close()
                line = self.child.line(found.needed_bytes)
        except BaseException:
            line.close()
            raise
        self._idle.put(line)
        self.answered = True
        if self.lost is not None:  # meanwhile
            self._hang_up()
        if isinstance(found, wire.Failed):
            raise self._failed(found.message)
        return found

    def _failed(self, said: str) -> InferenceFailedError:
        of_memory = any(word in said.lower() for word in ("memory", "alloc"))
        bound = self.child.bound if of_memory else ""
        return InferenceFailedError(f"the engine failed on a checked input: {said}{bound}")

    def _lose(self, reason: str = "") -> None:
        self.lost = f"the engine's child {self.child.end(reason)}"
        self._hang_up()

    def _hang_up(self) -> None:
        with suppress(queue.Empty):
            while True:
                self._idle.get_nowait().close()
