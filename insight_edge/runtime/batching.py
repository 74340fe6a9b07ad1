# SPDX-License-Identifier: Apache-2.0
"""Gather calls that come at about the same time into one call of the engine.

For callers who want rows a second rather than their own answer soonest: an engine takes hardly
longer for eight rows than for one where its work is small beside what a call costs. The first
caller of a batch waits for others, calls the engine in its own thread and hands the answers out;
there is no thread besides. Every caller has its own result, counted as if it had called alone.
Where a batch fails, each of its callers asks alone, so what is wrong with one stays with it.
"""

import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from insight_edge.documents.manifest import Io
from insight_edge.runtime.infer import Runtime
from insight_edge.runtime.result import Result

Inputs = Mapping[str, NDArray[Any]]


class _Call:
    """A caller that waits: for its answer, or to be told to lead or to ask alone."""

    __slots__ = ("came_s", "inputs", "key", "result", "told")

    def __init__(self, inputs: Inputs, key: str | None) -> None:
        self.inputs, self.key = inputs, key
        self.came_s = time.monotonic()
        self.result: Result | None = None
        self.told: threading.Event | None = None


class Batched:
    """A runtime for callers in several threads that want throughput.

    Args:
        runtime: that answers; whoever made it closes it.
        max_calls: in one batch. Best is the number of callers: a batch that is full waits for
            nobody.
        max_wait_ms: that the first caller of a batch waits for others.

    Raises:
        ValueError: fewer than one call, or a wait below 0.
    """

    def __init__(self, runtime: Runtime, *, max_calls: int = 8, max_wait_ms: float = 1.0) -> None:
        if max_calls < 1 or not max_wait_ms >= 0:
            raise ValueError(f"batches of {max_calls} within {max_wait_ms} ms")
        self._runtime = runtime
        self._max_calls, self._max_wait_s = max_calls, max_wait_ms / 1e3
        self._waiting: deque[_Call] = deque()
        self._led = False
        self._enough = threading.Condition()

    def infer(self, inputs: Inputs, key: str | None = None) -> Result:
        """Answer one call, as `Runtime.infer` does and raising what it raises.

        It is made alone where the bundle's batch is fixed, and where it has a key while there is
        a challenger, which may have to answer it.
        """
        runtime = self._runtime
        served = runtime.served
        if served is None or not is_free(served.manifest.io):
            return runtime.infer(inputs, key)
        if key is not None and runtime.challenger is not None:
            return runtime.infer(inputs, key)
        call = _Call(inputs, key)
        if self._join(call):
            self._lead()
        if call.result is None:
            return runtime.infer(inputs, key)
        return call.result

    def _join(self, call: _Call) -> bool:
        """Wait for others to answer a call; return whether it has to lead a batch instead."""
        with self._enough:
            self._waiting.append(call)
            if not self._led:
                self._led = True
                return True
            call.told = threading.Event()
            if len(self._waiting) >= self._max_calls:
                self._enough.notify()
        call.told.wait()
        # One that was neither answered nor taken out of those who wait is to lead.
        return call.result is None and self._is_first(call)

    def _is_first(self, call: _Call) -> bool:
        with self._enough:
            return bool(self._waiting) and self._waiting[0] is call

    def _lead(self) -> None:
        batch = self._gather()
        try:
            results = self._runtime.infer_together([(one.inputs, one.key) for one in batch])
        except Exception:  # noqa: BLE001 (each asks alone, and has what is wrong with its own)
            results = []
        for one, result in zip(batch, results, strict=False):
            one.result = result
        for one in batch[1:]:
            if one.told is not None:
                one.told.set()

    def _gather(self) -> list[_Call]:
        """Return a batch, its leader first, and let the next one be led."""
        with self._enough:
            left_s = self._waiting[0].came_s + self._max_wait_s - time.monotonic()
            self._enough.wait_for(lambda: len(self._waiting) >= self._max_calls, max(0.0, left_s))
            size = min(len(self._waiting), self._max_calls)
            batch = [self._waiting.popleft() for _ in range(size)]
            if self._waiting and self._waiting[0].told is not None:
                self._waiting[0].told.set()
            else:
                self._led = False
        return batch


def is_free(io: Io) -> bool:
    """Return whether a bundle takes and answers any number of rows at once."""
    specs = (*io.inputs, *io.outputs, *io.model_inputs, *io.model_outputs)
    return all(spec.shape and isinstance(spec.shape[0], str) for spec in specs)
