# SPDX-License-Identifier: Apache-2.0
"""One model of the zoo compiled, its rivals made, and all of them timed in turn."""

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.bundles import whole_machine
from benchmarks.compile.rivals import (
    METHODS,
    network_eager,
    opening_of,
    pinned,
    quantised_by,
    session_of_onnxruntime,
)
from benchmarks.peers import Opening, Peer
from insight_edge.bench.interleave import Block, Timed, interleave
from insight_edge.bench.measure import block_iterations
from insight_edge.bench.subject import SubjectProcess
from insight_edge.bundle.open import open_bundle
from insight_edge.compile.compiler import compile_model
from insight_edge.compile.reading import read_source
from insight_edge.compile.rows.metric import Labels
from insight_edge.compile.rows.samples import Samples, read_samples
from insight_edge.compile.settings import Compilation, Settings
from insight_edge.compile.sources.source import SourceModel
from insight_edge.compile.toolchains.environments import environment_python
from insight_edge.compile.trials.verify import prove
from insight_edge.documents.evidence import Trial
from insight_edge.documents.target import Target
from insight_edge.errors import CompileError, MeasurementError, NothingShippableError
from zoo.keeping import MEMBERS
from zoo.member import CALIBRATION, WEIGHTS, Card
from zoo.writing import read_card

CHOSEN, FALLBACK = "chosen", "own FP32"
TORCH, DEFAULT = "PyTorch eager", "default ONNX Runtime"
THREADS = 1
CPU = 0
"""The one that all are pinned to, so that none has a quieter neighbour."""

QUERIES = 16
ASKED_BYTES = 2**26
"""Of rows that a rival answers in one batch."""

BUDGET_PP = 1.0
INT8_ALONE = Target(backend="onnxruntime", precision="int8")


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What one model gave.

    Attributes:
        card: of the member.
        trials: of its compilation, the chosen one among them.
        blocks: latencies in ns by what was timed, round by round.
        drop_pp: of each rival that gives other answers than the source model, on the same rows.
        lost: rivals that could not be made or run, and why.
        cold_s, cached_s: of compiling it, all targets; the second time every build is kept.
        int8_s: of making ONNX Runtime's INT8 alone, model to trial; None where it is refused.
    """

    card: Card
    trials: tuple[Trial, ...]
    blocks: Mapping[str, list[Block]]
    drop_pp: Mapping[str, float]
    lost: Mapping[str, str]
    cold_s: float
    cached_s: float
    int8_s: float | None = None

    @property
    def chosen(self) -> Trial:
        """The trial that won."""
        return next(trial for trial in self.trials if trial.reason.startswith("won"))


@dataclass(kw_only=True)
class _Rivals:
    openings: dict[str, Opening] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)


def take_member(folder: Path, place: Path, rounds: int, tell: Callable[[str], None]) -> Taken:
    """Return what a member of the zoo gave.

    Args:
        folder: of the member.
        place: to work in.
        rounds: of the timing.
        tell: called with a few words at every step.

    Raises:
        NothingShippableError: no bundle could be made of it.
        MeasurementError: a rival answers otherwise than the model, or a process died.
        ToolchainMissingError: something is not installed.
    """
    card = read_card(folder)
    compilation, cold_s, cached_s = _compiled(folder / card.file, place, tell)
    source = read_source(folder / card.file, trust_pickle=True)
    samples = read_samples(folder / CALIBRATION, source.described.inputs)
    rivals = _rivals(card.name, folder, source, samples, place, tell)
    tell(f"{card.name}: {rounds} rounds")
    blocks, drop_pp = _timed(compilation, rivals, samples, source.described.model.task, rounds)
    return Taken(
        card=card,
        trials=compilation.evidence.trials,
        blocks=blocks,
        drop_pp=drop_pp,
        lost=rivals.lost,
        cold_s=cold_s,
        cached_s=cached_s,
        int8_s=_int8_alone(folder / card.file, place, tell) if card.name == "resnet18" else None,
    )


def _compiled(
    model: Path, place: Path, tell: Callable[[str], None]
) -> tuple[Compilation, float, float]:
    """Return the second compilation, and how long the first and it took."""
    took_s = []
    settings = Settings(threads=THREADS, cache=place / "cache", trust_pickle=True)
    for _ in range(2):
        started = time.monotonic()
        found = compile_model(
            model,
            whole_machine(),
            place / "bundle",
            samples=model.parent / CALIBRATION,
            settings=settings,
            tell=lambda words: tell(f"{model.parent.name}: {words}"),
        )
        took_s.append(time.monotonic() - started)
    return found, took_s[0], took_s[1]


def _int8_alone(model: Path, place: Path, tell: Callable[[str], None]) -> float:
    """Return how long INT8 takes from the model to its trial, with nothing kept from before."""
    tell(f"{model.parent.name}: INT8 alone")
    started = time.monotonic()
    settings = Settings(only=(INT8_ALONE,), trust_pickle=True, repair_s=0.0)
    with suppress(NothingShippableError):  # it was made, proven and timed all the same
        compile_model(
            model,
            whole_machine(),
            place / "int8",
            samples=model.parent / CALIBRATION,
            settings=settings,
        )
    return time.monotonic() - started


def _rivals(
    name: str,
    folder: Path,
    source: SourceModel,
    samples: Samples,
    place: Path,
    tell: Callable[[str], None],
) -> _Rivals:
    model, rows = place / "source.onnx", place / "rows.npz"
    model.write_bytes(source.data)
    np.savez(rows, allow_pickle=False, **samples.calibration())
    found = _Rivals()
    found.openings[DEFAULT] = partial(pinned, session_of_onnxruntime, (CPU,), model)
    if MEMBERS[name].network:
        found.openings[TORCH] = partial(pinned, network_eager, (CPU,), name, folder / WEIGHTS)
    for method, told in METHODS.items():
        tell(f"{name}: asking {told}")
        try:
            artifact = quantised_by(method, model, rows, place / method)
        except CompileError as error:
            found.lost[told] = str(error)
        else:
            found.openings[told] = partial(pinned, opening_of(artifact), (CPU,), artifact)
    return found


def _timed(
    compilation: Compilation, rivals: _Rivals, samples: Samples, task: str, rounds: int
) -> tuple[dict[str, list[Block]], dict[str, float]]:
    """Return latencies of all, timed in turn, and what each rival loses."""
    proof, labels = samples.proof()
    (asked,) = proof.values()
    most = max(QUERIES, ASKED_BYTES // asked[0].nbytes)
    rows: NDArray[Any] = asked[:most]
    labels = None if labels is None else labels[:most]
    drop_pp: dict[str, float] = {}
    with ExitStack() as running:
        timed = _own(compilation, {name: r[:QUERIES] for name, r in proof.items()}, running)
        expected = None
        for name, opening in rivals.openings.items():
            try:
                peer = running.enter_context(Peer(opening, rows))
            except MeasurementError as error:
                rivals.lost[name] = str(error)
                continue
            expected = peer.answers if expected is None else expected
            found = _loss(expected, peer.answers, labels, task)
            drop_pp[name] = found
            timed[name] = (peer, block_iterations(peer.call_s))
        return interleave(timed, rounds=rounds), drop_pp


def _loss(expected: NDArray[Any], found: NDArray[Any], labels: Labels | None, task: str) -> float:
    """Return the percentage points of the task metric that a rival loses on the proof rows."""
    return prove({"y": expected}, {"y": found}, labels, budget_pp=BUDGET_PP, task=task).drop_pp


def _own(
    compilation: Compilation, inputs: Mapping[str, NDArray[Any]], running: ExitStack
) -> dict[str, tuple[Timed, int]]:
    """Start the winner, and the FP32 that is shipped beside it."""
    manifest = open_bundle(compilation.bundle, allow_unsigned=True).manifest
    timed: dict[str, tuple[Timed, int]] = {}
    for label, variant in zip((CHOSEN, FALLBACK), manifest.variants, strict=False):
        subject = SubjectProcess(
            compilation.bundle,
            variant=variant.name,
            threads=THREADS,
            python=environment_python(f"device-{variant.target.backend}"),
            cpus=(CPU,),
            inputs=inputs,
        )
        running.enter_context(subject)
        timed[label] = (subject, block_iterations(subject.loaded.call_s))
    return timed
