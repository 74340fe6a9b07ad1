# SPDX-License-Identifier: Apache-2.0
"""Calls from an event loop: `await`ed, made in a bounded number of threads.

An engine computes in the thread that calls it, so a loop that called it itself would stand
still. The runtime is the same one: it may be swapped, challenged and called from other threads
meanwhile. This module keeps no queue of its own: whoever is not among the callers waits.
"""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from numpy.typing import NDArray

from insight_edge.documents.host import SwapRecord
from insight_edge.runtime.infer import Runtime
from insight_edge.runtime.processor import usable_threads
from insight_edge.runtime.result import Result

MORE_CALLERS = 2
"""Than processors: one prepares its inputs while another's engine computes."""


class AsyncRuntime:
    """A runtime for callers in one event loop.

    Args:
        runtime: that answers; whoever made it closes it.
        callers: calls that are made at once; by default two more than this process may use
            processors.

    Raises:
        ValueError: fewer than one caller.
    """

    def __init__(self, runtime: Runtime, *, callers: int | None = None) -> None:
        callers = usable_threads() + MORE_CALLERS if callers is None else callers
        if callers < 1:
            raise ValueError(f"{callers} callers, at least 1 is needed")
        self._runtime = runtime
        self._free = asyncio.Semaphore(callers)
        # One more, so that a swap, which takes seconds, keeps no call waiting.
        self._threads = ThreadPoolExecutor(callers + 1, thread_name_prefix="insight-edge call")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def infer(self, inputs: Mapping[str, NDArray[Any]], key: str | None = None) -> Result:
        """Answer one call, as `Runtime.infer` does and raising what it raises.

        A task that is cancelled while it waits for its turn makes no call. One whose call is
        being made ends at once; the engine cannot be stopped, so its answer is counted as any
        other, given to nobody, and its place is taken until then.

        Raises:
            RuntimeError: closed.
        """
        await self._free.acquire()
        try:
            call = self._threads.submit(self._runtime.infer, inputs, key)
        except BaseException:
            self._free.release()
            raise
        loop = asyncio.get_running_loop()
        call.add_done_callback(lambda _: _tell(loop, self._free))
        return await asyncio.wrap_future(call)

    async def swap(self, bundle_path: Path | str) -> SwapRecord:
        """Replace the serving bundle, as `Runtime.swap` does; calls go on throughout."""
        return await asyncio.wrap_future(self._threads.submit(self._runtime.swap, bundle_path))

    async def close(self) -> None:
        """Wait for the calls that are being made; the runtime stays as it is."""
        await asyncio.to_thread(self._threads.shutdown)


def _tell(loop: asyncio.AbstractEventLoop, free: asyncio.Semaphore) -> None:
    """Give a place back in the loop's own thread; a loop that has ended needs none."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(free.release)
