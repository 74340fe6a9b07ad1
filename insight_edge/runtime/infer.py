# SPDX-License-Identifier: Apache-2.0
"""The runtime: answers, observes and swaps bundles in the customer's own process.

`Runtime.open` runs one bundle; `Runtime.attach` serves the committed slot of a
state directory and listens to the agent. `infer` may be called from any number
of threads, also during a swap: it takes no lock, and every call is answered by
exactly one bundle, the one its result names.

What a bundle does with a call is in `serving`, what a new one must pass in
`candidate`, how it takes over in `swap`.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import msgspec
from msgspec.structs import replace
from numpy.typing import NDArray

from insight_edge.bundle.open import open_bundle
from insight_edge.bundle.owner import NOBODY, read_owner
from insight_edge.documents.desired import Challenging
from insight_edge.documents.host import SwapRecord
from insight_edge.documents.owner import Owner
from insight_edge.documents.report import Report
from insight_edge.errors import SlotError, TrustError, UpdateError
from insight_edge.runtime.boot import Boot
from insight_edge.runtime.doors import Doors
from insight_edge.runtime.lane import Lane
from insight_edge.runtime.outcomes import OutcomeLog, outcome_row
from insight_edge.runtime.processor import usable_threads
from insight_edge.runtime.result import Result
from insight_edge.runtime.served import Served
from insight_edge.runtime.serving import Asked, Serving
from insight_edge.runtime.shelf import Shelf
from insight_edge.runtime.swap import Admitting, Opening, Succession

if TYPE_CHECKING:
    from insight_edge.bundle.claim import Claim
    from insight_edge.bundle.slots import Slots
    from insight_edge.runtime.capture import Capture
    from insight_edge.runtime.challenger import Challenger
    from insight_edge.runtime.host import Host
    from insight_edge.runtime.isolation import Isolation


CPU_SHARE = 0.05
"""Of one processor: a device that was sized for one model still has room for a challenger."""

A = TypeVar("A")
R = TypeVar("R")


class Runtime:
    """Serves one bundle at a time; make one with `open` or `attach`."""

    def __init__(
        self,
        state_dir: Path | None,
        *,
        allow_unsigned: bool,
        threads: int | None,
        isolation: "Isolation | None",
        deployment: str | None = None,
        admitting: Admitting | None = None,
    ) -> None:
        self._allow_unsigned, self._isolation = allow_unsigned, isolation
        self._idle_reason = "no slot is committed"
        self._host: Host | None = None
        self._challenger: Challenger | None = None
        self._challenging = threading.Lock()
        self._claim = None if state_dir is None else _claim(state_dir)
        try:
            self._slots = None if state_dir is None else _slots(state_dir)
            self._boot = boot = _boot(state_dir, self._slots, deployment)
        except BaseException:
            self._release()
            raise
        boot.shelf.recover()
        self._succession = Succession(
            boot,
            threads=usable_threads() if threads is None else threads,
            isolation=isolation,
            admitting=admitting,
        )
        self._doors = Doors(self._succession, boot, self._slots, allow_unsigned=allow_unsigned)
        self._doors.contest = self._contest

    @classmethod
    def open(
        cls,
        bundle_path: Path | str,
        *,
        allow_unsigned: bool = False,
        variant: str | None = None,
        threads: int | None = None,
        isolation: "Isolation | None" = None,
        state_dir: Path | str | None = None,
        deployment: str | None = None,
        admitting: Admitting | None = None,
    ) -> Self:
        """Return a runtime that serves the bundle in a directory, without an agent.

        Args:
            bundle_path: the bundle's directory.
            allow_unsigned: run it although nobody vouches for it; reports say so.
            variant: name of the variant to load; by default the winner, or the fallback
                where this machine lacks the winner's engine or a CPU extension.
            threads: of the engine; by default all that this process may use.
            isolation: runs the engine in a child process within these bounds; by default here.
            state_dir: where windows, the boot counter and what an engine compiles at load survive
                the process; whoever may write there runs code here.
            deployment: name in results and reports, where no fleet has given it one.
            admitting: holds room for a bundle while it is loaded beside the one that serves, or
                raises an `InsightEdgeError` to refuse it.

        Raises:
            InputError: the bundle is malformed, or there is no such variant.
            TrustError: it is unsigned and that is not allowed.
            EngineMissingError, EngineError: its artifact cannot be run here.
            SelfCheckError: it does not answer its golden samples.
            ConfigurationError, StorageError, SlotError: the state directory cannot be used.
        """
        state = None if state_dir is None else Path(state_dir)
        runtime = cls(
            state,
            allow_unsigned=allow_unsigned,
            threads=threads,
            isolation=isolation,
            deployment=deployment,
            admitting=admitting,
        )
        try:
            runtime._succession.begin(
                lambda: replace(
                    open_bundle(bundle_path, allow_unsigned=allow_unsigned),
                    cache=None if state is None else state / "engine.cache",
                ),
                variant,
            )
        except BaseException:
            runtime.close()
            raise
        return runtime

    @classmethod
    def attach(
        cls,
        state_dir: Path | str,
        *,
        allow_unsigned: bool = False,
        threads: int | None = None,
        isolation: "Isolation | None" = None,
        admitting: Admitting | None = None,
    ) -> Self:
        """Return a runtime that serves the committed slot and does what the agent asks.

        Where the committed slot cannot be served, the other one is. Where neither
        can, `infer` raises and the agent can still activate a slot. `threads` and `admitting`
        are as of `open`.

        Raises:
            TrustError: a slot is unsigned and that is not allowed.
            ConfigurationError, StorageError, SlotError: the state directory cannot be used.
        """
        # Sockets and messages, which a runtime without an agent would carry for nothing.
        from insight_edge.runtime.host import Host

        runtime = cls(
            Path(state_dir),
            allow_unsigned=allow_unsigned,
            threads=threads,
            isolation=isolation,
            admitting=admitting,
        )
        try:
            runtime._serve_slots()
            runtime._host = Host(runtime._doors, Path(state_dir))
        except BaseException:
            runtime.close()
            raise
        return runtime

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def served(self) -> Served | None:
        """What new callers meet; None where no bundle is serving."""
        serving = self._succession.serving
        return None if serving is None else serving.served

    def infer(self, inputs: Mapping[str, NDArray[Any]], key: str | None = None) -> Result:
        """Answer one call.

        Args:
            inputs: arrays by name, of the manifest's dtypes and shapes, batch first.
            key: the caller's own name for the call, kept with the result.

        Raises:
            TensorMismatchError: an input has the wrong name, type, dtype, rank or dimension.
            InputError: a row holds nothing that a step before the model can use.
            InferenceFailedError: the engine failed on a checked input.
            SlotError: no bundle is serving.
            ValueError: the runtime is closed.
        """
        challenger = self._challenger
        if challenger is None:
            return self._inside(Serving.infer, inputs, key)
        answered = None if key is None else challenger.answer(inputs, key)
        if answered is None:
            answered = self._inside(Serving.infer, inputs, key)
            challenger.see(inputs, answered)
        return answered

    def _inside(
        self, ask: Callable[[Serving, Lane, A, str | None], R], asked: A, key: str | None
    ) -> R:
        """Ask the bundle that serves, with a lane of it."""
        while (serving := self._succession.serving) is not None:
            lane = serving.enter()
            if lane is None:
                continue  # swapped since the line above: look again
            try:
                return ask(serving, lane, asked, key)
            finally:
                serving.leave(lane)
        self._succession.refuse_closed()
        raise SlotError(
            f"no bundle is serving: {self._idle_reason}",
            hint="activate a slot, or swap to a bundle",
        )

    def infer_together(self, calls: Sequence[Asked]) -> list[Result]:
        """Answer several calls with one call of the engine; `batching` gathers them.

        Nothing is counted where it raises: ask one by one. Keys are given back and decide
        nothing: no challenger answers here.

        Args:
            calls: inputs and key of each, at least one.

        Raises:
            TensorMismatchError, InferenceFailedError: of any of them.
            ValueError: they do not go together, or the runtime is closed.
            SlotError: no bundle is serving.
        """
        results = self._inside(Serving.infer_together, calls, None)
        challenger = self._challenger
        if challenger is not None:
            for (inputs, _), result in zip(calls, results, strict=True):
                challenger.see(inputs, result)
        return results

    def outcome(
        self,
        label: float | str,
        *,
        id: str | None = None,  # noqa: A002 - as on the wire
        key: str | None = None,
        at_s: float | None = None,
    ) -> bool:
        """Say what turned out to be true of a result; return whether that is kept to be sent.

        It is not where no fleet wants it (the state directory is not of an enrolled device), or
        where so many wait that there is no room; those are counted and reported as lost.

        Args:
            label: class index, class name or number.
            id: of the result; or else
            key: that was passed to `infer` on this deployment.
            at_s: when it was known, seconds since the epoch; now by default.

        Raises:
            ValueError: both or none of `id` and `key`, a text of over 256 characters, or a
                number that is none.
            TypeError: the label is neither text nor a number.
        """
        return self._boot.outcomes.keep(outcome_row(label, id=id, key=key, at_s=at_s))

    def swap(self, bundle_path: Path | str) -> SwapRecord:
        """Replace the serving bundle without dropping or mixing a call.

        The new bundle is opened, loaded, verified and warmed beside the old one,
        in the thread that calls this; calls of `infer` go on throughout.

        Raises:
            UpdateError: with its phase; the old bundle keeps serving.
            ValueError: the runtime is closed.
        """
        return self._succession.swap(
            lambda: open_bundle(bundle_path, allow_unsigned=self._allow_unsigned)
        )

    def challenge(
        self,
        bundle_path: Path | str,
        *,
        cpu_share: float = CPU_SHARE,
        share: float = 0.0,
        salt: str | None = None,
    ) -> Served:
        """Compare another bundle with the one that serves, until `unchallenge`; return what it is.

        It repeats calls behind the callers' backs, as many as fit its share of a processor; its
        reports say how often it answered otherwise. With a `share` it also answers that part of
        the calls with a key, always of the same keys; `Result.role` says so. Where it fails, the
        serving bundle answers. Another challenger that is there is closed when this one is ready.

        Args:
            bundle_path: the challenger's directory.
            cpu_share: of one processor, 0 to 1, that repeating calls may take; 0 repeats none.
            share: of calls with a key, 0 to 1, that it answers itself.
            salt: draws the keys of that share; the deployment's name by default.

        Raises:
            ConfigurationError: its inputs or outputs are not the serving bundle's.
            InputError, TrustError, EngineError, EngineMissingError, SelfCheckError: as `open`.
            SlotError: no bundle is serving.
            ValueError: a share is not from 0 to 1, or the runtime is closed.
        """
        return self._challenge(
            lambda: open_bundle(bundle_path, allow_unsigned=self._allow_unsigned),
            cpu_share=cpu_share,
            share=share,
            salt=salt,
        )

    def _challenge(
        self, opening: Opening, *, cpu_share: float, share: float, salt: str | None
    ) -> Served:
        # A runtime that nobody challenges does without.
        from insight_edge.runtime.challenger import Challenger
        from insight_edge.runtime.share import Share

        drawn = Share(share, self._boot.owner.deployment if salt is None else salt)
        with self._challenging:
            self._succession.refuse_closed()
            served = self.served
            if served is None:
                raise SlotError("no bundle is serving that could be challenged")
            challenger = Challenger(
                self._boot,
                opening,
                served.manifest,
                cpu_share=cpu_share,
                share=drawn,
                isolation=self._isolation,
            )
            self._set_challenger(challenger)
            return challenger.served

    def _contest(self, opening: Opening, wanted: Challenging | None) -> str | None:
        """Do what the agent asks, and return the digest of what challenges then."""
        if wanted is None:
            self.unchallenge()
            return None
        salt = wanted.salt or None
        self.unchallenge()  # before the next is loaded: a device has no room for three
        return self._challenge(
            opening, cpu_share=wanted.cpu_share, share=wanted.share, salt=salt
        ).bundle

    def unchallenge(self) -> None:
        """End the challenge; without one, do nothing. The challenger's last report remains."""
        with self._challenging:
            self._set_challenger(None)

    @property
    def challenger(self) -> Served | None:
        """What challenges the serving bundle; None where nothing does."""
        challenger = self._challenger
        return None if challenger is None else challenger.served

    def take_report(self) -> Report | None:
        """Return the oldest closed window's report; where there is none, close the open one.

        None where nothing was asked since the last. The report is forgotten here.
        """
        report = self._doors.oldest_report()
        if report is not None:
            self._doors.confirm_report(report)
        return report

    def close(self) -> None:
        """Let callers finish, close the window and free everything; more calls do nothing.

        On an enrolled device up to 2 s are waited for the agent to take what was counted last.
        Reports not yet taken can still be taken.
        """
        host, self._host = self._host, None
        if host is not None:
            host.leave()
        with self._challenging:
            self._set_challenger(None)
            self._succession.close()
        if self._claim is not None and self._boot.capture is not None:
            self._boot.capture.stop()
        if host is not None:
            host.hand_over(awaited=self._boot.owner != NOBODY)
            host.stop()
        self._release()

    def _set_challenger(self, challenger: "Challenger | None") -> None:
        old, self._challenger = self._challenger, challenger
        self._doors.challenger = challenger
        if old is not None:
            old.close()

    def _serve_slots(self) -> None:
        """Serve the committed slot, or else the other one."""
        committed = None if self._slots is None else self._slots.committed
        if committed is None:
            return
        from insight_edge.bundle.slots import SLOTS

        for slot in (committed, *(name for name in SLOTS if name != committed)):
            try:
                self._doors.activate(slot)
            except UpdateError as error:
                if isinstance(error.__cause__, TrustError):
                    raise error.__cause__ from None
                self._idle_reason = f"slot {slot}: {error}"
            else:
                return

    def _release(self) -> None:
        if self._claim is not None:
            self._claim.release()
        self._claim = None


# What a runtime without a state directory would carry for nothing is imported where it is used.


def _claim(state_dir: Path) -> "Claim":
    from insight_edge.bundle.claim import Claim

    return Claim(state_dir, "host")


def _slots(state_dir: Path) -> "Slots":
    from insight_edge.bundle.slots import Slots

    return Slots(state_dir)


def _capture(state_dir: Path, owner: Owner) -> "Capture":
    from insight_edge.runtime.capture import Capture

    return Capture(state_dir, owner)


def _boot(state_dir: Path | None, slots: "Slots | None", deployment: str | None) -> Boot:
    """Return the next boot on a state directory; inputs are kept only for a fleet to look at."""
    owner = NOBODY if state_dir is None else read_owner(state_dir)
    named = owner == NOBODY and deployment is not None
    return Boot(
        owner=msgspec.structs.replace(owner, deployment=deployment) if named else owner,
        number=slots.next_boot() if slots else 0,
        shelf=Shelf(state_dir),
        capture=None if state_dir is None or owner == NOBODY else _capture(state_dir, owner),
        outcomes=OutcomeLog(wanted=owner != NOBODY),
    )
