# SPDX-License-Identifier: Apache-2.0
"""Several models of one device in one process: load, unload, swap, ask, and see how they stand.

    load ─▶ ready ─▶ unload            room is asked for before a model is loaded (`admission`)
             │  ▲
             ▼  │                      a higher priority may have a lower one unloaded
            waiting ─▶ failed          it could not be loaded again

Each is a `Runtime` of its own, with results and reports under its name. Who is loaded is kept in
`residence`, whose call goes first in `turns`.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from numpy.typing import NDArray

from insight_edge.documents.host import SwapRecord
from insight_edge.documents.report import Report
from insight_edge.errors import ConfigurationError
from insight_edge.runtime.admission import MIB, free_bytes, threads_each
from insight_edge.runtime.memory import available_bytes
from insight_edge.runtime.model import Model
from insight_edge.runtime.processor import usable_threads
from insight_edge.runtime.residence import Residence
from insight_edge.runtime.result import Result
from insight_edge.runtime.standing import Change, Standing
from insight_edge.runtime.turns import Turns

RESERVE_BYTES = 64 * MIB
"""For what calls take while they run, and for the application."""

PATIENCE_S = 0.1
RESTORE_S = 5.0
"""How often it is looked whether there is room again for a model that waits."""


class Models:
    """The models of one device; calls are made through it.

    Args:
        memory_bytes: that all of them may take together, by what they need; None for no such
            bound. What the machine and its control groups leave bounds them besides.
        reserve_bytes: of what is free, that no model gets.
        evicting: a model of a higher priority may have lower ones unloaded.
        at_once: calls, whichever models they are of; each engine has its part of the threads.
        patience_s: after which a call of a low priority goes before all others.
        allow_unsigned: load bundles although nobody vouches for them.
        available: returns the memory that could be taken now, in bytes.

    Raises:
        ConfigurationError: a figure cannot be meant.
    """

    def __init__(
        self,
        *,
        memory_bytes: int | None = None,
        reserve_bytes: int = RESERVE_BYTES,
        evicting: bool = False,
        at_once: int = 1,
        patience_s: float = PATIENCE_S,
        allow_unsigned: bool = False,
        available: Callable[[], int] = available_bytes,
    ) -> None:
        if at_once < 1 or min(reserve_bytes, memory_bytes or 0) < 0 or not patience_s >= 0:
            raise ConfigurationError("at_once is 1 or more; bytes and patience are 0 or more")
        self._allow_unsigned = allow_unsigned
        self._threads = threads_each(usable_threads(), at_once)
        self._turns = Turns(at_once, patience_s)
        self._residence = Residence(
            lambda resident: free_bytes(available(), reserve_bytes, memory_bytes, resident),
            evicting=evicting,
        )
        self._asked = 0
        self._changing = threading.Lock()
        self._closed = threading.Event()
        self._attending: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def load(
        self,
        name: str,
        bundle_path: Path | str,
        *,
        priority: int = 0,
        variant: str | None = None,
        need_bytes: int | None = None,
        state_dir: Path | str | None = None,
    ) -> Standing:
        """Load a model under a name, if there is room for it.

        Args:
            name: that calls, results and reports know it by.
            bundle_path: the bundle's directory.
            priority: larger goes first, for memory and for calls.
            variant: name of the variant; by default the first whose engine is there.
            need_bytes: what it takes of memory, where you know better than the bundle.
            state_dir: where its windows and its boot counter survive the process.

        Raises:
            AdmissionError: it does not fit; whoever was loaded before is.
            ConfigurationError: the name is taken.
            InputError, TrustError, EngineError, EngineMissingError, SelfCheckError: as
                `Runtime.open`; who had to leave for it comes back.
            ValueError: closed.
        """
        return self._load(
            name,
            Path(bundle_path),
            priority=priority,
            variant=variant,
            stated=need_bytes,
            state_dir=None if state_dir is None else Path(state_dir),
        )

    def attach(self, name: str, state_dir: Path | str, *, priority: int = 0) -> Standing:
        """Serve the committed slot of a deployment under a name, and do what the agent asks.

        A bundle that the agent activates has to find room beside the one that serves, or is
        refused; results and reports are of the deployment, as of `Runtime.attach`.

        Args:
            name: that calls know it by.
            state_dir: of the deployment.
            priority: larger goes first, for memory and for calls.

        Raises:
            AdmissionError, ConfigurationError, ValueError: as `load`.
            TrustError, StorageError, SlotError: as `Runtime.attach`.
        """
        return self._load(name, None, priority=priority, state_dir=Path(state_dir))

    def unload(self, name: str) -> None:
        """Let the callers of a model finish and free it; who waits may come back then.

        Raises:
            ConfigurationError: there is no such model.
            ValueError: closed.
        """
        with self._change():
            self._residence.unload(name)

    def swap(self, name: str, bundle_path: Path | str) -> SwapRecord:
        """Replace a model's bundle without dropping a call, where there is room for both.

        Raises:
            UpdateError: with its phase, from an `AdmissionError` where there is no room for both;
                the old bundle keeps serving.
            UnavailableError: the model is not loaded.
            ConfigurationError: there is no such model.
            ValueError: closed.
        """
        with self._change():
            return self._residence.swap(self._residence.model(name), Path(bundle_path))

    def infer(
        self, name: str, inputs: Mapping[str, NDArray[Any]], key: str | None = None
    ) -> Result:
        """Answer one call of a model, in its turn.

        Raises:
            ConfigurationError: there is no such model.
            UnavailableError: it is not loaded at present.
            InsightEdgeError: as `Runtime.infer`.
        """
        model = self._residence.model(name)
        with self._turns.turn(model.priority):
            runtime = model.loaded()
            try:
                return runtime.infer(inputs, key)
            except ValueError:
                if model.runtime is not runtime:  # it was unloaded since the line above
                    model.loaded()
                raise

    def index(self) -> tuple[Standing, ...]:
        """Return how every model stands, the highest priority first."""
        models = self._residence.models.copy().values()
        return tuple(m.standing for m in sorted(models, key=lambda m: (-m.priority, m.turn)))

    def changes(self) -> tuple[Change, ...]:
        """Return what became of models, oldest first; where there were many, the last ones."""
        return tuple(self._residence.changes)

    def take_report(self) -> Report | None:
        """Return the next report of any model, as `Runtime.take_report`."""
        with self._changing:
            residence = self._residence
            if residence.reports:
                return residence.reports.popleft()
            runtimes = (m.runtime for m in residence.models.values() if m.runtime is not None)
            taken = (runtime.take_report() for runtime in runtimes)
            return next((report for report in taken if report is not None), None)

    def restore(self) -> None:
        """Load who waits, as far as there is room; every few seconds it is done by itself."""
        with self._changing:
            if not self._closed.is_set():
                self._residence.restore()

    def close(self) -> None:
        """Let callers finish and free every model; more calls do nothing."""
        self._closed.set()
        with self._changing:
            self._residence.close()
            attending, self._attending = self._attending, None
        if attending is not None:
            attending.join()

    def _load(self, name: str, path: Path | None, *, priority: int, **others: Any) -> Standing:
        with self._change():
            if name in self._residence.models:
                raise ConfigurationError(
                    f"there is a model '{name}' already", hint="unload it, or swap its bundle"
                )
            self._asked += 1
            model = Model(
                name=name,
                path=path,
                priority=priority,
                turn=self._asked,
                threads=self._threads,
                allow_unsigned=self._allow_unsigned,
                admitting=self._residence.room_beside,
                **others,
            )
            self._residence.load(model)
            return model.standing

    @contextmanager
    def _change(self) -> Iterator[None]:
        """Make a change, one at a time, and see to those who wait after it."""
        with self._changing:
            if self._closed.is_set():
                raise ValueError("the models are closed")
            try:
                yield
            finally:
                self._attend()

    def _attend(self) -> None:
        waits = any(m.state == "waiting" for m in self._residence.models.values())
        if waits and self._attending is None:
            self._attending = threading.Thread(
                target=self._look, name="insight-edge models", daemon=True
            )
            self._attending.start()

    def _look(self) -> None:
        while not self._closed.wait(RESTORE_S):
            self.restore()
