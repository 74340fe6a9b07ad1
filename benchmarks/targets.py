# SPDX-License-Identifier: Apache-2.0
"""What compiling is worth: every target of this machine against what people run without it.

A convolutional network of a million parameters, one row at a time, one thread.
Each artifact runs in the device's environment, as `insight-edge compile` times
it; PyTorch and ONNX Runtime with a default session run in processes of their
own. All are timed in turn. A ratio below 1 is faster. There is no bar: what a
target is worth depends on the model and the processor.

Expected on a processor with AVX2 and no VNNI: ONNX Runtime FP32 0.5 x of
PyTorch and 1.0 x of its own default, whose session does at load what the
compiler did before; OpenVINO FP32 faster by a fifth; INT8 0.6 x of FP32, no
more, since 8-bit products are summed in 16 bits there.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.bundles import compile_bundle, this_machine, write_model
from benchmarks.figure import Figure, figure_from_estimate
from benchmarks.networks import Kind
from benchmarks.peers import Opening, Peer, default_onnxruntime, torch_eager
from insight_edge.bench.interleave import Block, Timed, interleave
from insight_edge.bench.measure import block_iterations
from insight_edge.bench.subject import SubjectProcess
from insight_edge.bundle.open import open_bundle
from insight_edge.compile.toolchains.environments import environment_python
from insight_edge.documents.evidence import Trial
from insight_edge.documents.target import Target, target_from_token
from insight_edge.errors import MeasurementError
from insight_edge.stats.interval import ratio_interval

NAME = "targets"
KIND: Kind = "image"
ROUNDS = 40
TORCH, DEFAULT = "PyTorch eager", "default ONNX Runtime"
SAME = 1e-3
"""Largest difference of a peer's answers from the source model's, of outputs around 1."""

LEAST_SQNR_DB = 20.0
"""INT8 keeps 40 dB of this model; what keeps less than half has not computed it."""


def take(place: Path, tell: Callable[[str], None]) -> Iterator[Figure]:
    """Yield the figures; `place` is a directory to work in.

    Raises:
        MeasurementError: a target or a peer does not compute the model, or a process died.
        CompileError, MissingError: a target that this machine offers could not be built.
    """
    tell("targets: exporting the model")
    model = write_model(KIND, place)
    bundles, sqnr_db = {}, {}
    for target in _targets():
        tell(f"targets: compiling {target.token}")
        compilation = compile_bundle(model, target)
        bundles[target.token] = compilation.bundle
        sqnr_db[target.token] = _sqnr_db(compilation.evidence.trials[0])
    tell(f"targets: {ROUNDS} rounds")
    openings = {TORCH: partial(torch_eager, KIND), DEFAULT: partial(default_onnxruntime, model)}
    blocks = _blocks(bundles, openings)
    for token in bundles:
        for peer in openings:
            yield _figure(token, peer, blocks, sqnr_db[token])


def _targets() -> list[Target]:
    """Return what the engines of this machine have an advantage from."""
    return [
        Target(backend=engine, precision=precision)
        for engine, support in this_machine().engines.items()
        for precision in support.precisions
    ]


def _blocks(bundles: Mapping[str, Path], openings: Mapping[str, Opening]) -> dict[str, list[Block]]:
    """Return the latencies of all targets and peers by name, timed in turn."""
    golden = open_bundle(next(iter(bundles.values())), allow_unsigned=True).golden()
    timed: dict[str, tuple[Timed, int]] = {}
    with ExitStack() as running:
        for token, bundle in bundles.items():
            python = environment_python(f"device-{target_from_token(token).backend}")
            subject = running.enter_context(SubjectProcess(bundle, threads=1, python=python))
            timed[token] = (subject, block_iterations(subject.loaded.call_s))
        for name, opening in openings.items():
            peer = running.enter_context(Peer(opening, golden.inputs["x"]))
            if not np.allclose(peer.answers, golden.outputs["y"], rtol=0, atol=SAME):
                raise MeasurementError(f"{name} does not answer as the compiled model's source")
            timed[name] = (peer, block_iterations(peer.call_s))
        return interleave(timed, rounds=ROUNDS)


def _sqnr_db(trial: Trial) -> float:
    """Return how well the answers of an artifact agree with the source model's."""
    found = trial.proof.sqnr_db if trial.proof and trial.proof.sqnr_db is not None else -np.inf
    if found < LEAST_SQNR_DB:
        raise MeasurementError(
            f"{trial.target.token} does not compute the model: SQNR {found:.0f} dB",
            hint="the speed of wrong answers is not worth knowing",
        )
    return found


def _figure(token: str, peer: str, blocks: Mapping[str, list[Block]], sqnr_db: float) -> Figure:
    p50_ms = {name: float(np.median(np.concatenate(blocks[name]))) / 1e6 for name in (token, peer)}
    return figure_from_estimate(
        ratio_interval(blocks[token], blocks[peer]),
        name=NAME,
        case=f"{KIND} model, 1 caller",
        compared=(f"{token} p50", peer),
        rounds=ROUNDS,
        note=f"{p50_ms[token]:.2f} against {p50_ms[peer]:.2f} ms; SQNR {sqnr_db:.0f} dB",
    )
