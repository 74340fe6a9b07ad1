# SPDX-License-Identifier: Apache-2.0
"""Bundles to measure, made by the compiler as for anybody else's model."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.networks import Kind, rows, write_onnx
from insight_edge.bench.machine import machine_facts
from insight_edge.bench.measure import MIN_BLOCK
from insight_edge.bench.verdict import MIN_ITERATIONS
from insight_edge.cli.device_engines import engines_here
from insight_edge.compile.compiler import compile_model
from insight_edge.compile.profiles.reading import profile_from_facts
from insight_edge.compile.settings import Compilation, Settings
from insight_edge.documents.profile import HardwareProfile
from insight_edge.documents.target import Target
from insight_edge.runtime.loading import engine_facts

SAMPLE_ROWS = 256
ANY_DROP_PP = 100.0
"""An untrained network has no accuracy to lose; speed alone is asked here."""

ROUNDS = MIN_ITERATIONS // MIN_BLOCK
"""Of the compiler's own measurement: the fewest that are valid however slow the model is."""

ONNXRUNTIME = Target(backend="onnxruntime", precision="fp32")
OPENVINO = Target(backend="openvino", precision="fp32")


def this_machine() -> HardwareProfile:
    """Return the profile of this machine with the engines of this very environment."""
    today = datetime.now(UTC).date()
    return profile_from_facts(machine_facts(engine_facts()), "this-machine", on=today)


def whole_machine() -> HardwareProfile:
    """Return the profile of this machine with every engine that has an environment here."""
    today = datetime.now(UTC).date()
    return profile_from_facts(machine_facts(engines_here()), "this-machine", on=today)


def write_model(kind: Kind, place: Path, seed: int = 0) -> Path:
    """Write a network as ONNX, and rows to calibrate and prove with beside it."""
    path = place / f"{kind}-{seed}.onnx"
    write_onnx(kind, path, seed)
    np.savez(_samples(path), x=rows(kind, SAMPLE_ROWS))
    return path


def compile_bundle(
    model: Path, target: Target, profile: HardwareProfile | None = None
) -> Compilation:
    """Compile what `write_model` wrote for this machine, one target alone, for one thread.

    Args:
        model: as ONNX.
        target: the only one.
        profile: of this machine; with the engines of this very environment for None.

    Raises:
        NothingShippableError, ToolchainMissingError: the target cannot be built here.
    """
    return compile_model(
        model,
        profile or this_machine(),
        model.with_suffix("") / target.token.replace(":", "-"),
        samples=_samples(model),
        settings=Settings(only=(target,), max_drop_pp=ANY_DROP_PP, threads=1, rounds=ROUNDS),
    )


def _samples(model: Path) -> Path:
    return model.with_suffix(".npz")
