# SPDX-License-Identifier: Apache-2.0
"""One bundle being served: who is inside it, and how it is emptied again.

Everything that belongs to a bundle is here and nowhere else: its session, its
lanes, its window. So an answer, a row and a report cannot mix two bundles.

Why nobody can be inside a session that is closed: a caller is inside only while
it holds a lane; lanes are handed round through a queue whose `put` and `get` are
atomic; no lane is made once `drain` has begun; and `drain` is done only when it
holds every lane ever made. A caller that comes too late finds no lane and looks
up the bundle that serves by then.
"""

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.documents.desired import Role
from insight_edge.documents.report import Counts
from insight_edge.errors import InferenceFailedError, InputError
from insight_edge.runtime.boot import Boot
from insight_edge.runtime.boundary import Boundary
from insight_edge.runtime.candidate import Candidate
from insight_edge.runtime.lane import Lane
from insight_edge.runtime.observer import Observer
from insight_edge.runtime.predictions import PERIOD_NS
from insight_edge.runtime.result import Origin, Result
from insight_edge.runtime.served import Served
from insight_edge.runtime.suspicion import suspicion_from_reference
from insight_edge.runtime.window import WindowHeader

if TYPE_CHECKING:
    from insight_edge.runtime.disagreement import Account

_now_ns = time.perf_counter_ns


Tensors = Mapping[str, NDArray[Any]]

Asked = tuple[Tensors, str | None]
"""Inputs and key of one call."""

Took = tuple[int, int, int]
"""Rows of a call, how long the engine took, and when it was done, in ns."""


class Serving:
    """A loaded bundle that answers and is observed.

    Args:
        account: of a challenger; None for a bundle that serves.

    Attributes:
        digest: of its manifest.
        served: what it is.
        engine_bytes: resident memory of an engine that is not in this process.
    """

    def __init__(self, candidate: Candidate, boot: Boot, account: "Account | None" = None) -> None:
        self.digest = candidate.bundle.digest
        self.served = Served(
            bundle=self.digest,
            manifest=candidate.bundle.manifest,
            variant=candidate.variant.name,
            engine=candidate.variant.target.backend,
            signed=candidate.bundle.signed,
            threads=candidate.threads,
        )
        self._free = candidate.discard
        self.engine_bytes: Callable[[], int] = getattr(
            candidate.session, "resident_bytes", lambda: 0
        )
        self._answer = candidate.pipeline.answer
        self._rows = Boundary(candidate.bundle.manifest.io.inputs).rows
        self._observation = candidate.observation
        self._origin = Origin(
            owner=boot.owner,
            boot=boot.number,
            bundle=self.digest,
            judge=candidate.observation.judge,
            version=candidate.bundle.manifest.model.version,
            role=_role(account),
        )
        self._counter, self._predictions = boot.counter, boot.predictions
        self._capture = boot.capture
        self._suspicion = suspicion_from_reference(
            candidate.observation, candidate.bundle.manifest.reference
        )
        self._sample = candidate.observation.sample
        self._lanes: list[Lane] = []
        self._idle: queue.SimpleQueue[Lane] = queue.SimpleQueue()
        self._held = 0
        self._draining = False
        self._making = threading.Lock()
        self._observer = Observer(
            self._observation, self._lanes, _header(candidate, boot, account), boot.shelf, account
        )

    def enter(self) -> Lane | None:
        """Return a lane for one call, to be given back to `leave`; None once it is drained."""
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return self._make_lane()

    def leave(self, lane: Lane) -> None:
        """Take a lane back."""
        self._idle.put(lane)

    def infer(self, lane: Lane, inputs: Mapping[str, NDArray[Any]], key: str | None) -> Result:
        """Answer one call of the caller that holds `lane`.

        Raises:
            TensorMismatchError: the inputs are not the manifest's.
            InputError: a row holds nothing that a step before the model can use.
            InferenceFailedError: the engine failed.
        """
        rows = self._rows(inputs)
        if inputs.__class__ is not dict:
            inputs = dict(inputs)  # engines may insist on one
        lane.asked += 1
        started_ns = _now_ns()
        try:
            fed, _, tensors, outputs = self._answer(inputs)
        except (InferenceFailedError, InputError):
            lane.failed += 1
            raise
        finished_ns = _now_ns()
        lane.answered += 1
        observed = inputs if self._observation.raw else fed
        result = Result(next(self._counter), key, outputs, self._origin, observed)
        self._observe(lane, result, inputs, tensors, (rows, finished_ns - started_ns, finished_ns))
        return result

    def _observe(
        self, lane: Lane, result: Result, inputs: Tensors, tensors: Tensors, took: Took
    ) -> None:
        rows, latency_ns, finished_ns = took
        try:
            observed = result.observed
            if self._sample is not None:
                observed = self._sample(observed, result.counter)
            if lane.keep(rows, latency_ns, observed, tensors):
                self._observer.ring()
            if finished_ns >= lane.sample_due_ns:
                lane.sample_due_ns = finished_ns + PERIOD_NS
                self._predictions.keep(result)
                if self._capture is not None:
                    self._capture.consider(result, inputs, self._suspicion)
        except Exception:  # noqa: BLE001 (what fails in observing must not reach a caller)
            lane.broken += 1

    def infer_together(
        self, lane: Lane, calls: Sequence[Asked], key: str | None = None
    ) -> list[Result]:
        """Answer calls of several callers with one call of the engine, each with its own result.

        Nothing is counted where it raises: ask one by one.

        Raises:
            TensorMismatchError: the inputs of one are not the manifest's.
            InferenceFailedError: the engine failed.
            ValueError: they do not go together, or the answer has not a row for each of theirs.
        """
        del key  # each call has its own
        rows = [self._rows(inputs) for inputs, _ in calls]
        first, _ = calls[0]
        joined = {name: np.concatenate([inputs[name] for inputs, _ in calls]) for name in first}
        started_ns = _now_ns()
        fed, _, tensors, outputs = self._answer(joined)
        finished_ns = _now_ns()
        parts = zip(*(split(side, rows) for side in (fed, tensors, outputs)), strict=True)
        results = []
        for (inputs, own_key), count, (own_fed, own, answer) in zip(
            calls, rows, parts, strict=True
        ):
            lane.asked += 1
            lane.answered += 1
            observed = inputs if self._observation.raw else own_fed
            result = Result(next(self._counter), own_key, answer, self._origin, observed)
            self._observe(lane, result, inputs, own, (count, finished_ns - started_ns, finished_ns))
            results.append(result)
        return results

    def health(self) -> tuple[int, Counts, int | None]:
        """Return number and counts of the open window, and its 99th percentile latency in ns."""
        return self._observer.read()

    def close_window(self) -> None:
        """Put the open window on the shelf, unless nothing was asked in it."""
        self._observer.close_window()

    def in_flight(self) -> int:
        """Return how many callers are inside now."""
        return len(self._lanes) - self._held - self._idle.qsize()

    def drain(self, timeout_s: float) -> bool:
        """Wait until nobody is inside, and let nobody in; return whether that was reached.

        May be called again after it was not. Call it only when callers no longer
        find this bundle, or they come back in vain.
        """
        with self._making:
            self._draining = True
        deadline_s = time.monotonic() + timeout_s
        while self._held < len(self._lanes):
            try:
                self._idle.get(timeout=max(0.0, deadline_s - time.monotonic()))
            except queue.Empty:
                return False
            self._held += 1
        return True

    def retire(self) -> None:
        """Close the last window and free the artifact of a drained bundle."""
        self._observer.stop()
        self._free()

    def _make_lane(self) -> Lane | None:
        with self._making:
            if self._draining:
                return None
            inputs, outputs = self._observation.inputs, self._observation.outputs
            lane = Lane(inputs.specs if inputs else (), outputs.specs if outputs else ())
            self._lanes.append(lane)
            return lane


def split(tensors: Tensors, rows: Sequence[int]) -> list[dict[str, NDArray[Any]]]:
    """Return the rows of each of some calls.

    Raises:
        ValueError: a tensor has not as many rows as they have together.
    """
    ends = np.cumsum(rows)
    for name, array in tensors.items():
        if not array.ndim or len(array) != ends[-1]:
            raise ValueError(f"'{name}' has not a row for each of {ends[-1]}")
    return [
        {name: array[end - count : end] for name, array in tensors.items()}
        for end, count in zip(ends.tolist(), rows, strict=True)
    ]


def _role(account: "Account | None") -> Role:
    return "serve" if account is None else "challenger"


def _header(candidate: Candidate, boot: Boot, account: "Account | None") -> WindowHeader:
    inputs, outputs = candidate.observation.inputs, candidate.observation.outputs
    return WindowHeader(
        device=boot.owner.device,
        deployment=boot.owner.deployment,
        boot=boot.number,
        bundle=candidate.bundle.digest,
        variant=candidate.variant.name,
        signed=candidate.bundle.signed,
        inputs=None if inputs is None else inputs.document,
        outputs=None if outputs is None else outputs.document,
        role=_role(account),
        threads=candidate.threads,
    )
