# SPDX-License-Identifier: Apache-2.0
"""A session whose engine runs in a child: the two methods of the seam, and no more.

A child that dies, hangs or says what it should not is one error for every call that is inside.
The next call starts another, which loads the artifact again; one that never answered is not
started again at once, but after a pause that doubles.
"""

import math
import threading
import time
from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from insight_edge import errors
from insight_edge.bundle.open import Bundle
from insight_edge.documents.manifest import Variant
from insight_edge.errors import InferenceFailedError, InsightEdgeError, LoadFailedError
from insight_edge.runtime.child import wire
from insight_edge.runtime.child.pool import Pool
from insight_edge.runtime.child.process import Child
from insight_edge.runtime.isolation import Isolation

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0

Arrays = dict[str, NDArray[Any]]


def load_isolated(
    bundle: Bundle, variant: Variant, isolation: Isolation, *, threads: int
) -> "ChildSession":
    """Return a session on the variant's artifact in a child, with `threads` inference threads.

    Raises:
        InsightEdgeError: as `load_session`, whose errors these are.
        LoadFailedError: the child cannot be started, died or hung.
    """
    setup = wire.Setup(
        bundle=str(bundle.path.absolute()),
        digest=bundle.digest,
        signed=bundle.signed,
        variant=variant.name,
        threads=threads,
        memory_bytes=isolation.memory_bytes,
        cache=None if bundle.cache is None else str(bundle.cache.absolute()),
    )
    return ChildSession(lambda: _loaded(setup, isolation), variant.name)


class ChildSession:
    """One artifact in a child.

    Args:
        start: returns a child that has loaded.
        name: of the variant.
    """

    def __init__(self, start: Callable[[], Child], name: str) -> None:
        self._start, self._name = start, name
        self._starting = threading.Lock()
        self._children = Pool(start())
        self._started_s, self._pause_s = time.monotonic(), FIRST_PAUSE_S

    @property
    def pid(self) -> int:
        """Number of the child."""
        return self._children.child.pid

    def resident_bytes(self) -> int:
        """Return the child's resident memory."""
        return self._children.child.resident_bytes()

    def infer(self, inputs: wire.Arrays) -> Arrays:
        """Return the model outputs; the arrays are new with every call.

        Raises:
            InferenceFailedError: the engine failed, or its child ended.
        """
        pool = self._children
        if pool.lost is not None:
            pool = self._anew()
        return pool.ask(inputs)

    def keep_cache(self) -> None:
        """Have the child keep what its engine compiled."""
        self._children.child.keep_cache()

    def close(self) -> None:
        """End the child."""
        self._started_s = math.inf
        self._children.close()

    def _anew(self) -> "Pool":
        """Return a child in the place of one that was lost.

        Raises:
            InferenceFailedError: it is not started again yet, or did not load.
        """
        with self._starting:
            pool = self._children
            if pool.lost is None:
                return pool
            now_s, pause_s = time.monotonic(), 0.0 if pool.answered else self._pause_s
            if now_s < self._started_s + pause_s:
                raise InferenceFailedError(pool.lost)
            self._started_s = now_s
            self._pause_s = min(max(FIRST_PAUSE_S, 2 * pause_s), LONGEST_PAUSE_S)
            try:
                self._children = Pool(self._start())
            except InsightEdgeError as error:
                pool.answered = False
                raise InferenceFailedError(f"{pool.lost}; again: {error}") from error
            return self._children


def _loaded(setup: wire.Setup, isolation: Isolation) -> Child:
    """Return a child that has loaded.

    Raises:
        InsightEdgeError: what it raised, of its class.
        LoadFailedError: it cannot be started, died or hung.
    """
    try:
        child = Child(setup, isolation)
    except OSError as error:
        raise LoadFailedError(
            f"{setup.variant}: a child for the engine cannot be started: {error.strerror}",
            hint="name a Python interpreter, Isolation(python=...)",
        ) from error
    try:
        said = child.hear()
    except BaseException:
        child.end("is not wanted")
        raise
    if isinstance(said, wire.Loaded):
        return child
    how = child.end("" if said is None else "is not wanted")
    if said is None:
        raise LoadFailedError(f"{setup.variant}: the engine's child {how} before it had loaded")
    raise _error_of(said) from (None if said.cause is None else RuntimeError(said.cause))


def _error_of(said: wire.Refused) -> InsightEdgeError:
    kind = getattr(errors, said.kind, LoadFailedError)
    if not (isinstance(kind, type) and issubclass(kind, InsightEdgeError)):
        kind = LoadFailedError
    return kind(said.message, hint=said.hint)
