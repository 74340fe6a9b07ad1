# SPDX-License-Identifier: Apache-2.0
"""What an engine may also have: a look inside the artifacts that it runs.

For those who ask why an answer is wrong or slow. Nothing of it is used while a
model serves, and an engine that cannot tell has none of it.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray

from insight_edge.bundle.open import Bundle
from insight_edge.documents.codec import Document
from insight_edge.documents.manifest import Variant
from insight_edge.errors import ConfigurationError
from insight_edge.transforms.executor import run
from insight_edge.transforms.vocabulary import held

PROFILED_RUNS, PROFILED_S = 20, 1.0
"""Inferences that a profile is of, and how long a slow model is asked for it at most."""

Arrays = Mapping[str, NDArray[Any]]
Wanted = Mapping[str, Sequence[str]]
"""By tensor of the source model: what an artifact may call it, the most telling first."""


class LayerFacts(Document, frozen=True, kw_only=True):
    """One step of what an engine really executes, after its own fusions.

    Attributes:
        name: as the engine says.
        op: what it does, in the engine's words.
        precision: that it computes in, e.g. `int8`; with `weights int8` after it where these alone
            are.
        placement: provider, device or delegate that it runs on.
        parts: what of the artifact is fused into it, where the engine says.
        time_us: of an inference, by the engine's own profiler; None where it has none.
    """

    name: str
    op: str
    precision: str
    placement: str
    parts: tuple[str, ...] = ()
    time_us: float | None = None


@runtime_checkable
class Revealing(Protocol):
    """An engine that tells what it executes."""

    def layers(self, bundle: Bundle, variant: Variant, inputs: Arrays) -> tuple[LayerFacts, ...]:
        """Return what is executed for model inputs, in order."""
        ...


@runtime_checkable
class Showing(Protocol):
    """An engine that shows tensors inside its artifacts, which know them by the model's names."""

    def tensors(
        self, bundle: Bundle, variant: Variant, inputs: Arrays, wanted: Wanted
    ) -> dict[str, NDArray[Any]]:
        """Return tensors inside for model inputs, by the source model's names, dequantised.

        What the artifact no longer has under any of its names is left out. Axes are the
        artifact's.
        """
        ...


@runtime_checkable
class Making(Protocol):
    """An engine that shows what its steps make, by names that say nothing of the model's."""

    def made(self, bundle: Bundle, variant: Variant, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Return what every step makes of model inputs, in the order of execution."""
        ...


def profiled(infer: Callable[[], object]) -> int:
    """Infer as often as a profile takes, at least twice, and return how often that was."""
    end = time.monotonic() + PROFILED_S
    for done in range(1, PROFILED_RUNS + 1):
        infer()
        if done > 1 and time.monotonic() > end:
            return done
    return PROFILED_RUNS


def first_known(wanted: Wanted, known: Sequence[str]) -> dict[str, str]:
    """Return for each tensor of the source model the first of its names that is known."""
    names = frozenset(known)
    found = {
        name: next((alias for alias in aliases if alias in names), None)
        for name, aliases in wanted.items()
    }
    return {name: alias for name, alias in found.items() if alias is not None}


def model_rows(
    bundle: Bundle, count: int, *, rows: Mapping[str, NDArray[Any]] | None = None
) -> dict[str, NDArray[Any]]:
    """Return at most so many rows as the artifacts take them, or the one batch they all take.

    Args:
        bundle: whose inputs and steps before the model.
        count: of rows, where the batch is free.
        rows: as callers pass them, the first are taken; the golden rows for None.

    Raises:
        ConfigurationError: there are fewer rows than a fixed batch has.
    """
    manifest = bundle.manifest
    batch = next((s.shape[0] for s in manifest.io.model_inputs if s.shape), 1)
    wanted = batch if isinstance(batch, int) else max(1, count)
    raw = {name: array[:wanted] for name, array in (rows or bundle.golden().inputs).items()}
    if _count(raw) < wanted and isinstance(batch, int):
        raise ConfigurationError(f"{_count(raw)} rows, the model takes {batch} at once")
    _tokenizers = held(manifest.pre, bundle.vocabulary)
    tensors = run(manifest.pre, raw)
    return {spec.name: tensors[spec.name] for spec in manifest.io.model_inputs}


def _count(rows: Mapping[str, NDArray[Any]]) -> int:
    return len(next(iter(rows.values())))
