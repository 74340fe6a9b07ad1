# SPDX-License-Identifier: Apache-2.0
"""The child process of a subject: `python -m insight_edge.bench.child SETUP`.

It runs in the environment that the device has, opens the bundle as the device
does, and obeys its standard input (`bench.exchange`). Its parent is
`bench.subject`. Whatever an engine prints goes to stderr: standard output
carries replies alone.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from insight_edge.bench import exchange
from insight_edge.bench.felt import Feeler
from insight_edge.bench.measure import time_block, warm_up
from insight_edge.bench.queries import asking, batches_of, queries_of
from insight_edge.bench.scenarios.serving import serve
from insight_edge.bench.warming import warm_up_for
from insight_edge.bundle.lifeline import die_with
from insight_edge.bundle.npz import arrays_from_npz, npz_from_arrays
from insight_edge.bundle.open import open_bundle
from insight_edge.documents.measured import WarmUp
from insight_edge.errors import InferenceFailedError, InsightEdgeError, StorageError
from insight_edge.runtime.loading import load_session

BATCH_ROWS = 64
"""Rows a call of `answer` where the batch is free."""

Arrays = dict[str, NDArray[Any]]


def main(setup: exchange.Setup) -> None:
    """Load a variant of a bundle and obey standard input to its end."""
    die_with(setup.parent)
    replies = _take_stdout()
    if setup.cpus:
        os.sched_setaffinity(0, setup.cpus)
    try:
        subject = Subject(setup)
    except InsightEdgeError as error:
        _say(replies, _refused(error))
        return
    _say(replies, subject.loaded)
    orders = msgspec.json.Decoder[exchange.Order](exchange.Order)
    for line in sys.stdin.buffer:
        try:
            reply = subject.obey(orders.decode(line))
        except InsightEdgeError as error:
            reply = _refused(error)
        _say(replies, reply)


class Subject:
    """A loaded and warm variant, and what the parent may ask of it.

    Raises:
        InsightEdgeError: as `open_bundle`, `Boundary.rows` and `load_session`.
        InferenceFailedError: the engine or a step of `pre` failed.
    """

    def __init__(self, setup: exchange.Setup) -> None:
        self._bundle = open_bundle(setup.bundle, allow_unsigned=True)
        given = self._bundle.golden().inputs if setup.inputs is None else _read(setup.inputs)
        with _wrapping():
            queries, rows = queries_of(self._bundle, given, setup.preparation.rows)
        self._feeler = Feeler()
        variant = self._bundle.variant(setup.variant)
        before_bytes = _memory_bytes("VmRSS")
        start = time.perf_counter()
        self._session = load_session(self._bundle, variant, threads=setup.threads)
        load_ms = (time.perf_counter() - start) * 1e3
        self._call, self._queries = asking(self._session, queries)
        with _wrapping():
            first_ns = time_block(self._call, self._queries, 1)[0]
            warmed, call_s = self._warmed(setup)
        self.loaded = exchange.Loaded(
            rows=rows,
            before_bytes=before_bytes,
            load_ms=load_ms,
            first_ms=float(first_ns) / 1e6,
            call_s=call_s,
            packages=_packages(),
            warm_up=warmed,
        )

    def obey(self, order: exchange.Order) -> exchange.Reply:
        """Return the reply to an order.

        Raises:
            InferenceFailedError: the engine failed.
            StorageError: a file cannot be read or written.
        """
        try:
            if isinstance(order, exchange.Answer):
                return self._answer(Path(order.inputs), Path(order.outputs))
            if isinstance(order, exchange.Block):
                return self._block(order.iterations, Path(order.durations))
            if isinstance(order, exchange.Serve):
                return self._serve(order)
        except OSError as error:
            raise StorageError(f"the child cannot exchange arrays: {error}") from error
        usage = exchange.Usage(peak_rss_bytes=_memory_bytes("VmHWM"), felt=self._feeler.felt())
        if order.anew:
            self._feeler = Feeler()
        return usage

    def _warmed(self, setup: exchange.Setup) -> tuple[WarmUp | None, float]:
        call, asked = self._call, setup.preparation
        if not setup.timed:
            return None, 0.0
        if asked.warm_up_s is None:
            return None, warm_up(call, self._queries)
        return warm_up_for(call, self._queries, most_s=asked.warm_up_s, whole=asked.whole)

    def _block(self, iterations: int, durations: Path) -> exchange.Done:
        with self._feeler.during(), _wrapping():
            found = time_block(self._call, self._queries, iterations)
        np.save(durations, found)
        return exchange.Done()

    def _serve(self, order: exchange.Serve) -> exchange.Done:
        due = np.load(order.due, allow_pickle=False).tolist()
        with self._feeler.during(), _wrapping():
            self._call(next(self._queries))
            found = serve(self._call, self._queries, due, order.waiting)
        np.save(order.times, found)
        return exchange.Done()

    def _answer(self, inputs: Path, outputs: Path) -> exchange.Done:
        specs = self._bundle.manifest.io.model_inputs
        with _wrapping():
            parts = [self._session.infer(p) for p in batches_of(_read(inputs), specs, BATCH_ROWS)]
        merged = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        outputs.write_bytes(npz_from_arrays(merged))
        return exchange.Done()


def _read(path: str | Path) -> Arrays:
    return arrays_from_npz(
        Path(path).read_bytes(), max_bytes=exchange.MAX_ARRAYS_BYTES, max_arrays=exchange.MAX_ARRAYS
    )


@contextmanager
def _wrapping() -> Iterator[None]:
    """Turn what an engine raises into our error; an engine may raise anything."""
    try:
        yield
    except InsightEdgeError:
        raise
    except Exception as error:
        message = next(iter(str(error).strip().splitlines()), "")
        raise InferenceFailedError(
            f"the engine failed on a checked input: {type(error).__name__}: {message}"
        ) from error


def _memory_bytes(name: Literal["VmHWM", "VmRSS"]) -> int:
    """Return the most memory this program had, or has; `getrusage` counts what forked it too."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0


def _packages() -> dict[str, str]:
    found = (
        (distribution.metadata["Name"], distribution.version) for distribution in distributions()
    )
    return {name: version for name, version in found if name}


def _take_stdout() -> BinaryIO:
    """Return standard output for replies, and point descriptor 1 at stderr for all others."""
    mine = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    return mine


def _say(stream: BinaryIO, reply: exchange.Reply) -> None:
    stream.write(msgspec.json.encode(reply) + b"\n")


def _refused(error: InsightEdgeError) -> exchange.Refused:
    return exchange.Refused(kind=type(error).__name__, message=str(error), hint=error.hint)


if __name__ == "__main__":
    main(msgspec.json.decode(sys.argv[1], type=exchange.Setup))
