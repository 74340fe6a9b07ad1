# SPDX-License-Identifier: Apache-2.0
"""What `insight-edge serve` adds to a model, beside MLServer, LitServe, BentoML and bare ASGI.

Two models: *dense*, three layers on 64 numbers, about 0.02 ms; *camera*, five convolutions on an
image of 48 KB, about 2 ms. One engine thread everywhere. Ours and one other run at a time, and
are asked in turn by 1 and by 4 callers of this process, each on a connection that it keeps; the
model in process is asked in the same turns: ONNX Runtime's own `run`, and `Runtime.infer`, which
observes as `serve` does and is what its throughput is held against. The clock stands around
the request's bytes going out and the answer's last byte coming in: bodies are made before and
not read after, so what a client spends on JSON is in no figure. They share the machine.

Callers that ask without pause get through one over the mean of what they wait; that ratio is
told for throughput, so less is better in every figure. Memory is all that is resident in a
server and its children, after the load.

Expected (written before the first run, after a prototype): +0.09 ms in bytes and +0.11 ms in
JSON on the dense model, where the bare loop has +0.12; half of what the best other server takes,
on p50, p99 and throughput; the camera with 4 callers on two processors at 1.1 times in process
in bytes, 1.5 in JSON, others at 2 to 4; 75 MB.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any, Self

import numpy as np

from benchmarks.asking import Asker
from benchmarks.bundles import ONNXRUNTIME, compile_bundle, write_model
from benchmarks.callers import Callers
from benchmarks.estimates import difference_interval, mean_ratio, percentile_ratio
from benchmarks.figure import Figure, figure_from_estimate
from benchmarks.networks import SHAPES, Kind, rows
from benchmarks.serving_forms import binary_form, v2_form
from benchmarks.serving_peers import (
    ASGI,
    BENTOML,
    LITSERVE,
    MLSERVER,
    OURS,
    Program,
    check,
    ours,
    theirs,
)
from insight_edge.bench.interleave import Block, interleave
from insight_edge.bench.measure import MIN_BLOCK, warm_up
from insight_edge.runtime.infer import Runtime
from insight_edge.stats.interval import median_interval, ratio_interval

NAME = "serving"
KINDS: tuple[Kind, ...] = ("dense", "camera")
PEERS = (ASGI, MLSERVER, LITSERVE, BENTOML)
CALLERS = (1, 4)
ROUNDS = 20
BLOCKS_S = {1: 0.2, 4: 0.5}
"""By callers: long enough that the rows of a block are counted within it, in process too."""


QUERIES = 16
BARE, IN_PROCESS = "onnxruntime run", "Runtime.infer"
BINARY, JSON = f"{OURS}, bytes", f"{OURS}, JSON"
ADDED_BARS_US = {BINARY: 180.0, JSON: 250.0}
SHARE_OF_THROUGHPUT = 0.85
LIMIT_BYTES = 90e6

Blocks = dict[str, list[Block]]


def take(place: Path, tell: Callable[[str], None]) -> Iterator[Figure]:
    """Yield the figures; `place` is a directory to work in.

    Raises:
        MeasurementError: a server does not answer as the model does.
        ToolchainMissingError: the other servers are not installed.
    """
    for kind in KINDS:
        tell(f"serving: compiling the {kind} model")
        model = write_model(kind, place)
        bundle = compile_bundle(model, ONNXRUNTIME).bundle
        for peer in PEERS:
            tell(f"serving: the {kind} model, beside {peer.name}")
            with _Stage(kind, model, bundle, peer) as stage:
                yield from _figures(kind, peer, stage, tell)


class _Stage:
    """The model in process, ours, and one other server, ready to be asked in turn.

    Attributes:
        own, other: the servers.
    """

    def __init__(self, kind: Kind, model: Path, bundle: Path, peer: Program) -> None:
        self._opened = ExitStack()
        self._x = [row[None] for row in rows(kind, QUERIES)]
        self._run = _session(model)
        self._open = (bundle, peer, model, kind)
        self._peer = peer

    def __enter__(self) -> Self:
        bundle, peer, model, kind = self._open
        folder = model.parent / f"{kind}-{peer.name.replace(' ', '-')}"
        try:
            runtime = Runtime.open(bundle, allow_unsigned=True, threads=1)
            self._runtime = self._opened.enter_context(runtime)
            self.own = self._opened.enter_context(ours(bundle))
            self.other = self._opened.enter_context(theirs(peer, model, SHAPES[kind], folder))
            expected = self._run(self._x[0])
            self._asked = {
                BINARY: (self.own, binary_form("model", expected.size)),
                JSON: (self.own, v2_form("model")),
                peer.name: (self.other, peer.form),
            }
            for running, form in self._asked.values():
                check(running.port, form, self._x[0], expected)
        except BaseException:
            self._opened.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def blocks(self, callers: int) -> Blocks:
        """Return the latencies of all, timed in turn."""
        calls: dict[str, tuple[Callable[[Any], object], Sequence[Any]]] = {
            BARE: (self._run, self._x),
            IN_PROCESS: (lambda x: self._runtime.infer({"x": x}), self._x),
        }
        with ExitStack() as asking:
            for name, (running, form) in self._asked.items():
                asker = asking.enter_context(closing(Asker(running.port)))
                calls[name] = (asker, [form.request(x) for x in self._x])
            timed = {}
            for name, (call, queries) in calls.items():
                own = asking.enter_context(Callers(call, queries, callers, self._count))
                call_s = warm_up(call, cycle(queries))
                timed[name] = (own, max(MIN_BLOCK, round(BLOCKS_S[callers] / call_s / callers)))
            return interleave(timed, rounds=ROUNDS)

    def _count(self) -> None:
        """Have everything counted that the runtime in this process was asked, off the clock."""
        while self._runtime.take_report() is not None:
            pass


@dataclass(frozen=True, kw_only=True)
class _Compared:
    """One side over another in one case."""

    case: str
    blocks: Blocks
    peer: str

    def figure(self, measured: str, what: str, estimate: Any, **more: Any) -> Figure:
        """Return a figure of what was measured against the peer."""
        return figure_from_estimate(
            estimate, name=NAME, case=self.case, compared=(f"{measured}: {what}", self.peer),
            rounds=ROUNDS, **more,
        )  # fmt: skip

    def pair(self, measured: str) -> tuple[list[Block], list[Block]]:
        """Return both sides."""
        return self.blocks[measured], self.blocks[self.peer]

    def note(self, measured: str, told: Callable[[Any], Any]) -> str:
        """Return both values in ms."""
        own, other = (told(np.concatenate(side)) / 1e6 for side in self.pair(measured))
        return f"{own:.3f} against {other:.3f} ms"

    def share(self, measured: str) -> str:
        """Return both means, and what share of the peer's throughput that is."""
        own, other = (np.mean(np.concatenate(side)) for side in self.pair(measured))
        return f"{self.note(measured, np.mean)}; {other / own:.0%} of its throughput"


def _figures(
    kind: Kind, peer: Program, stage: _Stage, tell: Callable[[str], None]
) -> Iterator[Figure]:
    for callers in CALLERS:
        case = f"{kind} model, {callers} caller{'s' * (callers > 1)}"
        tell(f"serving: {case}, beside {peer.name}")
        blocks = stage.blocks(callers)
        names = (IN_PROCESS, BINARY, JSON, peer.name) if peer is PEERS[0] else (peer.name,)
        for name in names:
            yield _over_bare(_Compared(case=case, blocks=blocks, peer=BARE), name, callers, kind)
        if callers > 1 and peer is PEERS[0]:
            yield _over_in_process(_Compared(case=case, blocks=blocks, peer=IN_PROCESS), kind)
        if peer is not ASGI:
            yield from _over_peer(_Compared(case=case, blocks=blocks, peer=peer.name), callers)
    if kind == "dense":
        yield from _memory(stage, peer)


def _over_bare(base: _Compared, name: str, callers: int, kind: Kind) -> Figure:
    pair = base.pair(name)
    if callers == 1:
        value, low, high = difference_interval(*pair)
        bar = ADDED_BARS_US.get(name) if kind == "dense" else None
        return base.figure(
            name, "p50 added", (value / 1e3, low / 1e3, high / 1e3), unit="us", bar=bar,
            note=base.note(name, np.median),
        )  # fmt: skip
    return base.figure(name, "mean", mean_ratio(*pair), note=base.share(name))


def _over_in_process(base: _Compared, kind: Kind) -> Figure:
    bar = 1 / SHARE_OF_THROUGHPUT if kind == "camera" else None
    return base.figure(
        BINARY, "mean", mean_ratio(*base.pair(BINARY)), bar=bar, note=base.share(BINARY)
    )


def _over_peer(compared: _Compared, callers: int) -> Iterator[Figure]:
    pair = compared.pair(JSON)
    if callers == 1:
        yield compared.figure(
            JSON, "p50", ratio_interval(*pair), bar=1.0, note=compared.note(JSON, np.median)
        )
        p99 = partial(np.percentile, q=99)
        yield compared.figure(
            JSON, "p99", percentile_ratio(*pair, 99), bar=1.0, note=compared.note(JSON, p99)
        )
    else:
        yield compared.figure(
            JSON, "mean", mean_ratio(*pair), bar=1.0, note=compared.note(JSON, np.mean)
        )


def _memory(stage: _Stage, peer: Program) -> Iterator[Figure]:
    own, other = stage.own.resident_bytes, stage.other.resident_bytes
    case = "dense model, after the load"
    told: list[tuple[str, float, float | None]] = [(peer.name, own / other, None)]
    if peer is PEERS[0]:
        told.insert(0, ("90 MB", own / LIMIT_BYTES, 1.0))
    for limit, share, bar in told:
        yield figure_from_estimate(
            median_interval([np.array([share])] * ROUNDS), name=NAME, case=case,
            compared=(f"{OURS}: resident", limit), rounds=ROUNDS, bar=bar,
            note=f"{own / 1e6:.0f} against {(LIMIT_BYTES if bar else other) / 1e6:.0f} MB",
        )  # fmt: skip


def _session(model: Path) -> Callable[[Any], Any]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda x: session.run(None, {"x": x})[0]
