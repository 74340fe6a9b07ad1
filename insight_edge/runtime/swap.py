# SPDX-License-Identifier: Apache-2.0
"""Who serves, and how the next one takes over: stage, verify, warm, flip, drain, retire.

The new bundle gets ready beside the old one, in the thread that asked for the
swap. The flip is one attribute store: callers that looked before it are
answered by the old bundle, which waits for them; callers that look after it
meet the new one. Until the flip any error leaves everything as it was.
"""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING

from insight_edge.bundle.open import Bundle
from insight_edge.documents.host import SwapRecord
from insight_edge.errors import (
    InferenceFailedError,
    InsightEdgeError,
    SelfCheckError,
    UpdateError,
)
from insight_edge.runtime.boot import Boot
from insight_edge.runtime.candidate import stage
from insight_edge.runtime.phases import REQUEST, Phases
from insight_edge.runtime.serving import Serving

if TYPE_CHECKING:
    from insight_edge.runtime.disagreement import Account
    from insight_edge.runtime.isolation import Isolation

DRAIN_TIMEOUT_S = 30.0
"""A call that hangs longer than this keeps its old session until `retire`, not the swap waiting."""

Opening = Callable[[], Bundle]

Admitting = Callable[[Bundle], AbstractContextManager[None]]
"""Holds room for a bundle while it is loaded beside the one that serves, or raises to refuse it."""


class Succession:
    """The bundle that serves, and those that served before and are not empty yet.

    Args:
        isolation: of a child that the engine runs in; None to run it here.
        account: of a challenger, which is no more than another bundle here.
        admitting: asked before each swap; None where there is always room.

    Attributes:
        serving: what new callers meet; None before the first and after `close`.
        closed: whether `close` was called.
    """

    def __init__(
        self,
        boot: Boot,
        *,
        threads: int,
        isolation: "Isolation | None" = None,
        drain_timeout_s: float = DRAIN_TIMEOUT_S,
        account: "Account | None" = None,
        admitting: Admitting | None = None,
    ) -> None:
        self.serving: Serving | None = None
        self.closed = False
        self._boot = boot
        self._threads, self._isolation = threads, isolation
        self._drain_timeout_s = drain_timeout_s
        self._account, self._admitting = account, admitting
        self._undrained: list[Serving] = []
        self._swapping = threading.Lock()

    def begin(self, opening: Opening, variant: str | None) -> None:
        """Serve the first bundle.

        Raises:
            InsightEdgeError: whatever is wrong with it, as it is.
        """
        self.serving = self._prepare(opening, Phases(), variant)

    def swap(self, opening: Opening) -> SwapRecord:
        """Replace the serving bundle.

        Raises:
            UpdateError: with its phase; the old bundle keeps serving.
            ValueError: closed.
        """
        if not self._swapping.acquire(blocking=False):
            raise UpdateError(
                "another swap is under way", hint="try again when it has ended", phase=REQUEST
            )
        try:
            self.refuse_closed()
            with ExitStack() as held:
                return self._swap(lambda: self._admitted(opening(), held), Phases())
        finally:
            self._swapping.release()

    def retire(self) -> None:
        """Free old bundles whose last callers have left since their swap gave up waiting."""
        with self._swapping:
            self._retire(self._drained())

    def close(self) -> None:
        """Let callers finish and free everything; a call that hangs keeps its session."""
        with self._swapping:
            self.closed = True
            last, self.serving = self.serving, None
            self._undrained += [last] if last else []
            self._retire(self._drained(last))

    def refuse_closed(self) -> None:
        """Refuse to go on after `close`.

        Raises:
            ValueError: closed.
        """
        if self.closed:
            raise ValueError("the runtime is closed")

    def _swap(self, opening: Opening, phases: Phases) -> SwapRecord:
        try:
            serving = self._prepare(opening, phases, None)
        except UpdateError as error:
            error.phase = phases.current
            raise
        except InsightEdgeError as error:
            raise UpdateError(str(error), hint=error.hint, phase=phases.current) from error
        with phases("flip"):
            old, self.serving = self.serving, serving
        in_flight = old.in_flight() if old else 0
        self._undrained += [old] if old else []
        with phases("drain"):
            drained = self._drained(old)
        with phases("retire"):
            self._retire(drained)
        return phases.record(
            origin=None if old is None else old.digest, target=serving.digest, in_flight=in_flight
        )

    def _admitted(self, bundle: Bundle, held: ExitStack) -> Bundle:
        if self._admitting is not None:
            held.enter_context(self._admitting(bundle))
        return bundle

    def _prepare(self, opening: Opening, phases: Phases, variant: str | None) -> Serving:
        """Return a bundle that is ready to serve; whatever fails leaves nothing loaded."""
        with phases("stage"):
            bundle = opening()
        try:
            return self._ready(bundle, phases, variant)
        except (SelfCheckError, InferenceFailedError):
            if bundle.cache is None:
                raise
            from insight_edge.runtime.engine_cache import forget_cache

            # A cache answered wrongly that answered when it was kept: the artifact decides.
            if not forget_cache(bundle.cache):
                raise
        return self._ready(bundle, phases, variant)

    def _ready(self, bundle: Bundle, phases: Phases, variant: str | None) -> Serving:
        with phases("stage"):
            candidate = stage(
                bundle, variant=variant, threads=self._threads, isolation=self._isolation
            )
        try:
            with phases("verify"):
                golden = candidate.bundle.golden()
                candidate.verify(golden)
            with phases("warm"):
                candidate.warm(golden)
                candidate.keep_cache()
                return Serving(candidate, self._boot, self._account)
        except BaseException:
            candidate.discard()
            raise

    def _drained(self, awaited: Serving | None = None) -> list[Serving]:
        """Return who is empty; only the one that callers have just left is waited for."""
        return [
            each
            for each in self._undrained
            if each.drain(self._drain_timeout_s if each is awaited else 0.0)
        ]

    def _retire(self, drained: list[Serving]) -> None:
        for serving in drained:
            serving.retire()
            self._undrained.remove(serving)
