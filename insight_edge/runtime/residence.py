# SPDX-License-Identifier: Apache-2.0
"""Which of several models are loaded: let in by `admission`, sent to wait, and let in again.

It carries out what is decided there and tells every change. One thread at a time may call it, but
for `room_beside`, which an agent's swap asks: what is being loaded has its room held meanwhile.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from insight_edge.bundle.need import Need
from insight_edge.bundle.open import Bundle
from insight_edge.documents.host import SwapRecord
from insight_edge.documents.report import Report
from insight_edge.errors import (
    AdmissionError,
    ConfigurationError,
    EngineMissingError,
    InsightEdgeError,
)
from insight_edge.runtime.admission import Resident, admit, refusal, restorable
from insight_edge.runtime.logs import logger
from insight_edge.runtime.model import Model
from insight_edge.runtime.standing import Change

MAX_CHANGES = 256
MAX_REPORTS = 256
"""Of models that were unloaded; where nobody takes them the oldest go."""

Free = Callable[[tuple[Resident, ...]], int]


class Residence:
    """Models by name.

    Args:
        free: returns the room for one more in bytes, given who is loaded.
        evicting: a higher priority may have lower ones unloaded.

    Attributes:
        models: that were asked for, loaded or not.
        changes: oldest first.
        reports: of models that were unloaded.
    """

    def __init__(self, free: Free, *, evicting: bool) -> None:
        self._free, self._evicting = free, evicting
        self.models: dict[str, Model] = {}
        self.changes: deque[Change] = deque(maxlen=MAX_CHANGES)
        self.reports: deque[Report] = deque(maxlen=MAX_REPORTS)
        self._held: dict[str, int] = {}
        self._deciding = threading.Lock()

    def model(self, name: str) -> Model:
        """Return a model.

        Raises:
            ConfigurationError: there is none of that name.
        """
        model = self.models.get(name)
        if model is None:
            there = ", ".join(self.models) or "nothing is loaded"
            raise ConfigurationError(f"there is no model '{name}'", hint=f"there is: {there}")
        return model

    def load(self, model: Model) -> None:
        """Load a model, and have others wait for it where that is wanted.

        Raises:
            AdmissionError: it does not fit.
            InsightEdgeError: it cannot be loaded. In either case who waits for it comes back.
        """
        try:
            self._load(model, evicting=self._evicting)
        except BaseException:
            self.restore()
            raise
        self.models[model.name] = model

    def unload(self, name: str) -> None:
        """Free a model and forget it; who waits may come back then."""
        model = self.model(name)
        self.reports.extend(model.free())
        del self.models[name]
        self._tell(name, "unloaded", "as asked")
        self.restore()

    def swap(self, model: Model, path: Path) -> SwapRecord:
        """Replace a model's bundle beside the old one.

        Raises:
            UpdateError: as `Runtime.swap`; of an `AdmissionError` where there is no room.
            UnavailableError: the model is not loaded.
        """
        record = model.loaded().swap(path)
        model.path, model.variant = path, None
        self._tell(model.name, "ready", f"{model.served[1]} of {path}")
        return record

    @contextmanager
    def room_beside(self, model: Model, bundle: Bundle) -> Iterator[None]:
        """Hold room for a bundle beside the one that a model serves; any thread may ask.

        Raises:
            AdmissionError: there is none.
        """
        need = next(iter(model.needs_of(bundle).values()))
        wanted = model.resident._replace(need_bytes=need.length_bytes)
        with self._deciding:
            free = self._free_beside(model, self._resident())
            if not admit(wanted, (), free, evicting=False).admitted:
                beside = "" if model.runtime is None else " beside the bundle that serves"
                raise AdmissionError(
                    refusal(wanted, free, ()) + beside,
                    hint="unload it and load the new bundle; its callers go without meanwhile",
                )
            # Of a deployment that is being loaded, its slot's room is held already.
            loading = self._held.get(model.name, 0)
            self._held[model.name] = max(loading, need.length_bytes)
        try:
            yield
        finally:
            self._held[model.name] = loading

    def restore(self) -> None:
        """Load who waits, the highest priority first, as far as there is room."""
        while (first := restorable(self._waiting(), self._free(self._resident()))) is not None:
            model = self.models[first.name]
            try:
                self._load(model, evicting=False)
            except AdmissionError:
                return
            except InsightEdgeError as error:
                model.state, model.reason = "failed", str(error)
                self._tell(model.name, "failed", model.reason)

    def close(self) -> None:
        """Free every model."""
        for model in self.models.values():
            self.reports.extend(model.free())

    def _load(self, model: Model, *, evicting: bool) -> None:
        """Load the first variant whose engine is there."""
        *preferred, last = model.needs()
        for variant, need in preferred:
            try:
                return self._open(model, variant, need, evicting=evicting)
            except EngineMissingError:
                continue
        return self._open(model, *last, evicting=evicting)

    def _open(self, model: Model, variant: str | None, need: Need, *, evicting: bool) -> None:
        model.asked = need
        wanted = model.resident
        try:
            with self._deciding:
                resident = self._resident()
                free = self._free_beside(model, resident)
                admission = admit(wanted, resident, free, evicting=evicting)
                self._held[model.name] = need.length_bytes
            for name in admission.evicted:
                self._send_to_wait(self.models[name], model)
            # An engine may keep what it was told to free.
            free = self._free_beside(model, self._resident())
            if not admission.admitted or wanted.need_bytes > free:
                lower = [each for each in resident if each.priority < wanted.priority]
                raise AdmissionError(
                    refusal(wanted, free, lower if evicting else ()),
                    hint="unload a model, allow more memory, or compile for less",
                )
            model.open(variant)
        finally:
            self._held.pop(model.name, None)
        place = model.state_dir if model.path is None else model.path
        self._tell(model.name, "ready", f"{model.served[1] or 'nothing yet'} of {place}")

    def _free_beside(self, model: Model, resident: tuple[Resident, ...]) -> int:
        """Return the room for a model, without what is held for others."""
        held = sum(need for name, need in self._held.copy().items() if name != model.name)
        return self._free(resident) - held

    def _send_to_wait(self, model: Model, for_whom: Model) -> None:
        model.state = "waiting"
        model.reason = (
            f"unloaded to make room for '{for_whom.name}', whose priority is "
            f"{for_whom.priority}, its own {model.priority}"
        )
        self.reports.extend(model.free())
        self._tell(model.name, "waiting", model.reason)

    def _resident(self) -> tuple[Resident, ...]:
        models = self.models.copy().values()
        return tuple(one.resident for one in models if one.runtime is not None)

    def _waiting(self) -> tuple[Resident, ...]:
        return tuple(one.resident for one in self.models.values() if one.state == "waiting")

    def _tell(self, name: str, state: str, reason: str) -> None:
        change = Change(time.time(), name, state, reason)  # type: ignore[arg-type]
        self.changes.append(change)
        log = logger(__name__)
        (log.info if state in {"ready", "unloaded"} else log.warning)(
            "%s is %s: %s", name, state, reason
        )
