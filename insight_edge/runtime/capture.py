# SPDX-License-Identifier: Apache-2.0
"""Keep a few inputs that somebody should look at, within a quota, beside the callers.

    <state_dir>/samples/<hex>.npz     the caller's arrays, one row, named by their digest
    <state_dir>/samples/<hex>.offer   a `SampleOffer` as it goes on the wire; written last

A call hands over a copy of its first row and goes on; a thread judges it, and
writes what is suspect and a few others at random. The oldest go when there is no
room. The agent offers and uploads them; nothing leaves the device here.
"""

import logging
import queue
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from insight_edge.bundle.durable import replace_file, storing
from insight_edge.bundle.npz import npz_from_arrays
from insight_edge.documents.codec import digest, encode_wire
from insight_edge.documents.delivery import MAX_SAMPLE_BYTES, SampleOffer
from insight_edge.documents.owner import Owner
from insight_edge.errors import InsightEdgeError
from insight_edge.runtime.predictions import plain_row
from insight_edge.runtime.result import Result
from insight_edge.runtime.suspicion import Suspect, Suspicion

DIRECTORY = "samples"
MAX_SAMPLES = 512
MAX_BYTES = 64 * 1024 * 1024
MAX_WAITING = 32
"""Copies in memory; more are not taken while the disk is slow."""

RANDOM_EVERY = 50
"""Of the inputs that nothing speaks against, one in so many is kept."""

Tensors = Mapping[str, NDArray[Any]]
_log = logging.getLogger(__name__)


class _Candidate(NamedTuple):
    id: str
    bundle: str
    at_s: float
    suspicion: Suspicion
    inputs: dict[str, NDArray[Any]]
    observed: dict[str, NDArray[Any]]
    outputs: dict[str, NDArray[Any]]


class Capture:
    """The kept inputs of one deployment; one thread, until `stop`."""

    def __init__(self, state_dir: Path, owner: Owner) -> None:
        self._owner = owner
        self._place = state_dir / DIRECTORY
        self._waiting: queue.Queue[_Candidate | None] = queue.Queue(MAX_WAITING)
        self._usual = 0
        self._thread = threading.Thread(target=self._run, name="insight-edge capture", daemon=True)
        self._thread.start()

    def consider(self, result: Result, inputs: Tensors, suspicion: Suspicion) -> None:
        """Hand over the first row of a call; where too many wait already, it is let go."""
        if sum(array.nbytes // max(1, len(array)) for array in inputs.values()) > MAX_SAMPLE_BYTES:
            return
        if self._waiting.full():
            return
        candidate = _Candidate(
            id=result.id,
            bundle=result.bundle,
            at_s=time.time(),
            suspicion=suspicion,
            inputs=_first(inputs),
            observed=_first(result.observed),
            outputs=_first(result.outputs),
        )
        try:
            self._waiting.put_nowait(candidate)
        except queue.Full:
            return

    def stop(self) -> None:
        """Write what waits, and end the thread."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        for left in self._place.glob(".*"):  # of a process that was killed while it wrote
            left.unlink(missing_ok=True)
        while (candidate := self._waiting.get()) is not None:
            try:
                self._look(candidate)
            except Exception as error:  # noqa: BLE001 (nothing that fails here may reach a caller)
                level = logging.WARNING if isinstance(error, InsightEdgeError) else logging.ERROR
                _log.log(level, "an input was not kept: %s", error)

    def _look(self, candidate: _Candidate) -> None:
        suspect = candidate.suspicion.judge(candidate.observed, candidate.outputs)
        if suspect is not None:
            self._keep(candidate, suspect.reason, suspect)
            return
        self._usual += 1
        if self._usual % RANDOM_EVERY == 1:
            self._keep(candidate, "random", None)

    def _keep(self, candidate: _Candidate, reason: Any, suspect: Suspect | None) -> None:
        data = npz_from_arrays(candidate.inputs)
        if len(data) > MAX_SAMPLE_BYTES:
            return
        name = digest(data)
        offer = SampleOffer(
            device=self._owner.device,
            deployment=self._owner.deployment,
            id=candidate.id,
            bundle=candidate.bundle,
            digest=name,
            length_bytes=len(data),
            reason=reason,
            score=0.0 if suspect is None else suspect.score,
            at_s=candidate.at_s,
            outputs=plain_row(candidate.outputs),
        )
        path = self._place / name.removeprefix("sha256:")
        if path.with_suffix(".offer").exists():
            return
        with storing(self._place):
            self._place.mkdir(exist_ok=True)
            self._make_room(len(data))
        replace_file(path.with_suffix(".npz"), data)
        replace_file(path.with_suffix(".offer"), encode_wire(offer))

    def _make_room(self, length_bytes: int) -> None:
        """Let the oldest go until another one has room."""
        kept = sorted(self._place.glob("*.npz"), key=lambda path: path.stat().st_mtime_ns)
        sizes = [path.stat().st_size for path in kept]
        while kept and (len(kept) >= MAX_SAMPLES or sum(sizes) + length_bytes > MAX_BYTES):
            oldest = kept.pop(0)
            sizes.pop(0)
            oldest.with_suffix(".offer").unlink(missing_ok=True)
            oldest.unlink(missing_ok=True)


def _first(tensors: Tensors) -> dict[str, NDArray[Any]]:
    return {name: np.array(array[:1]) for name, array in tensors.items()}
