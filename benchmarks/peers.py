# SPDX-License-Identifier: Apache-2.0
"""What people run without this project, each in a child process of its own.

PyTorch as it comes out of training, and ONNX Runtime on the exported file with
a default session. Both have one thread, as the subjects they are compared with,
and the same clock stands around the same thing: rows in, an array out.
"""

import multiprocessing
from collections.abc import Callable
from itertools import cycle
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from benchmarks.networks import Kind, network
from insight_edge.bench.measure import time_block, warm_up
from insight_edge.errors import MeasurementError

ANSWER_TIMEOUT_S = 120.0

Rows = NDArray[np.float32]
Infer = Callable[[Rows], NDArray[Any]]
Opening = Callable[[], Infer]


class Peer:
    """A running peer; a context manager that leaves no process behind.

    Args:
        opening: loads it; a function that can be sent to another process.
        rows: asked one at a time, over and over.

    Raises:
        MeasurementError: the child died or hung.

    Attributes:
        answers: to all rows.
        call_s: median duration of a call once warm.
    """

    def __init__(self, opening: Opening, rows: Rows) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._line, theirs = spawn.Pipe()
        self._child = spawn.Process(target=_serve, args=(opening, rows, theirs), daemon=True)
        self._child.start()
        theirs.close()
        try:
            self.answers, self.call_s = self._hear()
        except BaseException:
            self.close()
            raise

    def block(self, iterations: int) -> NDArray[np.int64]:
        """Return the duration in ns of each of some calls.

        Raises:
            MeasurementError: the child died or hung.
        """
        self._line.send(iterations)
        found: NDArray[np.int64] = self._hear()
        return found

    def close(self) -> None:
        """End the child."""
        self._child.kill()
        self._child.join()
        self._line.close()

    def __enter__(self) -> Self:
        """Return the peer itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the child."""
        self.close()

    def _hear(self) -> Any:
        if not self._line.poll(ANSWER_TIMEOUT_S):
            raise MeasurementError(f"a peer gave no answer within {ANSWER_TIMEOUT_S:g} s")
        try:
            return self._line.recv()
        except EOFError:
            raise MeasurementError("a peer's process ended; what it said is above") from None


def torch_eager(kind: Kind) -> Infer:
    """Return a network as PyTorch runs it after training."""
    import torch

    torch.set_num_threads(1)
    net = network(kind)

    def infer(rows: Rows) -> NDArray[Any]:
        with torch.inference_mode():
            answer: NDArray[Any] = net(torch.from_numpy(rows)).numpy()
        return answer

    return infer


def default_onnxruntime(model: Path) -> Infer:
    """Return an ONNX file as ONNX Runtime runs it, one thread apart from the default session."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def infer(rows: Rows) -> NDArray[Any]:
        answer: NDArray[Any] = session.run(None, {"x": rows})[0]
        return answer

    return infer


def _serve(opening: Opening, rows: Rows, line: Connection) -> None:
    """Answer the parent until it hangs up."""
    infer = opening()
    queries = cycle([rows[i : i + 1] for i in range(len(rows))])
    line.send((infer(rows), warm_up(infer, queries)))
    try:
        while True:
            line.send(time_block(infer, queries, line.recv()))
    except EOFError:
        return
