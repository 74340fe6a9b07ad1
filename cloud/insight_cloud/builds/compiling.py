# SPDX-License-Identifier: Apache-2.0
"""Call the ordinary compiler as a child, and keep the bundle that comes out.

A bundle lies in a folder named by its digest, put there by one rename, so that what
is found there is whole. Scratch folders of a killed process are removed by the next.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from insight_cloud.builds.rules import TrialSummary, failure_reason, log_of, summary_of
from insight_cloud.platform.child_process import Finished, run_child
from insight_edge.bundle.durable import replace_file
from insight_edge.bundle.open import open_bundle
from insight_edge.documents.codec import from_plain
from insight_edge.documents.evidence import Trial
from insight_edge.errors import DocumentError, InsightEdgeError, StorageError

TIMEOUT_S: Final = 3600.0
MODEL_FILES: Final = frozenset({"model.onnx", "model.json", "data.npz"})


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What a call of the compiler does not leave to it.

    Attributes:
        max_drop_pp: percentage points that may be lost; None is as the profile says.
        rounds: of the measurement; None is as the compiler does by itself.
        targets: that are tried, as `--target` names them; none are all that the compiler would.
        contenders: whatever is proven goes along, for a device to time it.
    """

    max_drop_pp: float | None = None
    rounds: int | None = None
    targets: tuple[str, ...] = ()
    contenders: bool = False


@dataclass(frozen=True, kw_only=True)
class Order:
    """One call of the compiler.

    Attributes:
        files: `MODEL_FILES` by name; the last may be missing.
        profile: an id that is shipped, or a TOML file.
    """

    files: Mapping[str, bytes]
    profile: str
    wishes: Wishes


@dataclass(frozen=True, kw_only=True)
class Settlement:
    """A bundle of contenders that a device has timed.

    Attributes:
        bundle: digest of its manifest; it was made here.
        profile: an id that is shipped, or a TOML file.
        results: what was timed, a file as `insight-edge bench -o` leaves it.
    """

    bundle: str
    profile: str
    results: bytes


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """What came of it.

    Attributes:
        bundle: digest of the manifest; None where there is none.
        reason: why there is none; empty otherwise.
    """

    bundle: str | None
    reason: str
    log: str
    trials: tuple[TrialSummary, ...]


class Compiler:
    """The program `insight-edge compile`, and the folder of what it made.

    Args:
        directory: in it are bundles, and builds that are kept between calls.
        timeout_s: the longest that one call may take.
    """

    def __init__(self, directory: Path, *, timeout_s: float = TIMEOUT_S) -> None:
        self._directory = directory
        self._timeout_s = timeout_s

    def bundle_path(self, bundle: str) -> Path:
        """Return where a bundle lies."""
        return self._directory / "bundles" / bundle.removeprefix("sha256:")

    def compile(self, order: Order, *, pulse: Callable[[], None]) -> Compiled:
        """Return what came of a call; one that fails is data, with its reason.

        Raises:
            StorageError: the scratch folder cannot be written.
            BaseException: whatever `pulse` raises; the child was stopped.
        """
        with self._scratch() as scratch:
            for name, data in order.files.items():
                replace_file(scratch / name, data)
            return self._made(self._words(order, scratch), scratch, pulse)

    def settle(self, settlement: Settlement, *, pulse: Callable[[], None]) -> Compiled:
        """Return what came of choosing among contenders by results; raises as `compile`."""
        with self._scratch() as scratch:
            replace_file(scratch / "results.jsonl", settlement.results)
            words = (
                "-m", self.bundle_path(settlement.bundle).absolute(),
                "--measured", scratch / "results.jsonl", "--profile", settlement.profile,
            )  # fmt: skip
            return self._made(words, scratch, pulse)

    def _made(
        self, words: Sequence[str | Path], scratch: Path, pulse: Callable[[], None]
    ) -> Compiled:
        try:
            done = run_child(
                [
                    Path(sys.executable).with_name("insight-edge"), "compile", *words,
                    "-o", scratch / "bundle", "--format", "json",
                ],
                cwd=scratch,
                timeout_s=self._timeout_s,
                pulse=pulse,
            )  # fmt: skip
        except OSError as error:
            reason = f"the compiler cannot be started: {error}"
            return Compiled(bundle=None, reason=reason, log="", trials=())
        return self._taken(scratch / "bundle", done)

    def _words(self, order: Order, scratch: Path) -> Sequence[str | Path]:
        data = ("--calibration", scratch / "data.npz") if "data.npz" in order.files else ()
        drop_pp, count = order.wishes.max_drop_pp, order.wishes.rounds
        drop = () if drop_pp is None else ("--max-drop", f"{drop_pp:g}")
        rounds = () if count is None else ("--rounds", str(count))
        targets = [word for token in order.wishes.targets for word in ("--target", token)]
        contenders = ("--contenders",) if order.wishes.contenders else ()
        return (
            "-m", scratch / "model.onnx", "--profile", order.profile,
            *data, *drop, *rounds, *targets, *contenders,
            "--cache", (self._directory / "cache").absolute(),
        )  # fmt: skip

    def _taken(self, made: Path, done: Finished) -> Compiled:
        trials = _trials(done.output)
        log = log_of(done.log)
        reason = ""
        if done.code or done.over_time:
            reason = failure_reason(
                done.code, done.log, over_time=done.over_time, timeout_s=self._timeout_s
            )
        else:
            try:
                bundle = open_bundle(made, allow_unsigned=True)
                trials = tuple(map(summary_of, bundle.evidence().trials))
                self._keep(made, bundle.digest)
                return Compiled(bundle=bundle.digest, reason="", log=log, trials=trials)
            except InsightEdgeError as error:
                reason = f"the compiler's bundle cannot be used: {error}"
        return Compiled(bundle=None, reason=reason, log=log, trials=trials)

    def _keep(self, made: Path, bundle: str) -> None:
        place = self.bundle_path(bundle)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            if not place.exists():
                made.rename(place)
        except OSError as error:
            raise StorageError(f"{place}: {error.strerror}") from error

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        folder = (self._directory / "scratch").absolute()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _sweep(folder)
            made = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=folder))
        except OSError as error:
            raise StorageError(f"{folder}: {error.strerror}") from error
        try:
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)


def _sweep(folder: Path) -> None:
    """Remove what processes left that are no more."""
    for path in folder.iterdir():
        pid = path.name.partition("-")[0]
        if not pid.isdigit() or not Path(f"/proc/{pid}").exists():
            shutil.rmtree(path, ignore_errors=True)


def _trials(output: bytes) -> tuple[TrialSummary, ...]:
    """Return the trials that the compiler printed; none where it printed something else."""
    try:
        plain = msgspec.json.decode(output)
        return tuple(summary_of(from_plain(Trial, one)) for one in plain)
    except (msgspec.MsgspecError, DocumentError, TypeError):
        return ()
