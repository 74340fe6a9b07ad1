# SPDX-License-Identifier: Apache-2.0
"""A candidate: a loaded bundle that nobody calls yet, and what it must pass to serve.

Stage opens and loads, verify asks the golden samples, warm makes the first
calls. All of it happens beside whatever serves.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from insight_edge.bundle.golden import GoldenSamples
from insight_edge.bundle.open import Bundle
from insight_edge.documents.manifest import Manifest, Variant
from insight_edge.documents.steps import Tokenize
from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import EngineMissingError, SelfCheckError
from insight_edge.runtime.loading import Loaded, load
from insight_edge.runtime.logs import logger
from insight_edge.runtime.observation import Observation, observation_from_manifest
from insight_edge.runtime.pipeline import Pipeline
from insight_edge.runtime.processor import isa_extensions
from insight_edge.runtime.seam import Session
from insight_edge.runtime.selfcheck import disagreement
from insight_edge.transforms.executor import answered

if TYPE_CHECKING:
    from insight_edge.runtime.isolation import Isolation
    from insight_edge.transforms.tokenizer import Tokenizer

WARM_CALLS = 3
"""Engines allocate on the first call of a shape, some choose kernels on the second."""

Arrays = dict[str, NDArray[Any]]
Loader = Callable[[Bundle, Variant], Loaded]


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle with a session of one of its variants.

    Attributes:
        keep: keeps what the engine compiled of it; None where that is kept, or nowhere to keep.
        threads: of the engine for one call.
    """

    bundle: Bundle
    variant: Variant
    session: Session
    pipeline: Pipeline
    observation: Observation
    threads: int
    keep: Callable[[], None] | None = None

    def verify(self, golden: GoldenSamples) -> None:
        """Ask the golden samples of the bundle.

        Raises:
            SelfCheckError: the artifact does not answer as it did when it was proven, or the
                steps after it do not give the outputs of the manifest.
            InferenceFailedError: the engine failed on a golden sample.
        """
        found, outputs = self._answer_all(golden.inputs)
        reason = disagreement(
            golden.expected(self.variant.name),
            found,
            tolerance=self.variant.tolerance,
            mean_tolerances=self.variant.mean_tolerances,
        )
        reason = reason or _other_result(golden, self.bundle.manifest)
        reason = reason or _misfit(outputs, self.bundle.manifest.io.outputs)
        if reason is not None:
            raise SelfCheckError(
                f"{self.variant.name}: golden samples: {reason}",
                hint="build the bundle again for this machine's engine version and CPU",
            )

    def warm(self, golden: GoldenSamples) -> None:
        """Make the first calls, with one golden row each where the batch is free.

        Raises:
            InferenceFailedError: the engine failed on a golden sample.
        """
        first = _rows(golden.inputs, 0, self._step(1))
        for _ in range(WARM_CALLS):
            self.pipeline.answer(first)

    def keep_cache(self) -> None:
        """Keep what the engine compiled, for the next load; a cache that was loaded is kept."""
        if self.keep is None:
            return
        try:
            self.keep()
        except Exception:  # noqa: BLE001 (a plug-in may raise anything; it serves all the same)
            logger(__name__).warning("%s: no cache to keep", self.variant.name, exc_info=True)

    def discard(self) -> None:
        """Free the artifact; what the engine raises then is logged, nobody can act on it."""
        try:
            self.session.close()
        except Exception:  # noqa: BLE001 (a plug-in may raise anything; nobody can act on it)
            logger(__name__).exception(
                "%s: the engine failed to free its artifact", self.bundle.digest
            )

    def _answer_all(self, inputs: Arrays) -> tuple[Arrays, Arrays]:
        """Return what the model and the steps after it answer, in batches that it accepts."""
        count = self.bundle.manifest.golden.rows
        step = self._step(count)
        answers = [
            self.pipeline.answer(_rows(inputs, start, start + step))
            for start in range(0, count, step)
        ]
        _, found, _, outputs = zip(*answers, strict=True)
        return _joined(found), _joined(outputs)

    def _step(self, wanted: int) -> int:
        """Return the size of a batch: what is wanted, or what the manifest fixes."""
        fixed = [spec.shape[0] for spec in self.bundle.manifest.io.inputs if spec.shape]
        return next((size for size in fixed if isinstance(size, int)), wanted)


def stage(
    bundle: Bundle, *, variant: str | None, threads: int, isolation: "Isolation | None" = None
) -> Candidate:
    """Return the candidate of an opened bundle, its artifact loaded, in a child if isolated.

    The winner is taken, or the fallback where this machine lacks the winner's
    engine or a CPU extension. A variant asked for by name is taken or refused.

    Raises:
        ConfigurationError: there is no such variant.
        EngineMissingError, LoadFailedError: as `load_session`, of the last variant tried.
        DocumentError: the manifest asks for what it does not have, or a vocabulary is damaged.
    """
    tokenizers = _tokenizers(bundle)
    observation = observation_from_manifest(bundle.manifest)
    chosen, loaded = _load(bundle, variant, _loader(isolation, threads))
    return Candidate(
        bundle=bundle,
        variant=chosen,
        session=loaded.session,
        pipeline=Pipeline(bundle.manifest, loaded.session, tokenizers),
        observation=observation,
        threads=threads,
        keep=loaded.keep,
    )


def _tokenizers(bundle: Bundle) -> "tuple[Tokenizer, ...]":
    if not any(isinstance(step, Tokenize) for step in bundle.manifest.pre):
        return ()
    # What knows texts, which most bundles do without.
    from insight_edge.transforms.vocabulary import held

    return held(bundle.manifest.pre, bundle.vocabulary)


def _loader(isolation: "Isolation | None", threads: int) -> Loader:
    if isolation is None:
        return partial(load, threads=threads)
    # Sockets and child processes, which a runtime without a child would carry for nothing.
    from insight_edge.runtime.child.session import load_isolated

    def load_there(bundle: Bundle, variant: Variant) -> Loaded:
        session = load_isolated(bundle, variant, isolation, threads=threads)
        return Loaded(session, session.keep_cache)

    return load_there


def _load(bundle: Bundle, name: str | None, load: Loader) -> tuple[Variant, Loaded]:
    serving = (one for one in bundle.manifest.variants if one.role != "contender")
    *preferred, last = serving if name is None else (bundle.variant(name),)
    extensions = set(isa_extensions())
    for variant in preferred:
        if extensions.issuperset(variant.isa):
            try:
                return variant, load(bundle, variant)
            except EngineMissingError:
                continue
    return last, load(bundle, last)


def _other_result(golden: GoldenSamples, manifest: Manifest) -> str | None:
    """Return which result the steps make otherwise of the source model's outputs, if any does."""
    if not golden.results:
        return None
    tensors = answered(manifest.pre, manifest.post, golden.inputs, golden.outputs)
    for name, wanted in golden.results.items():
        if name not in tensors or not _same(wanted, tensors[name]):
            return f"its steps after the model give another '{name}'"
    return None


def _same(wanted: NDArray[Any], found: NDArray[Any]) -> bool:
    """Compare results; NumPy's exponential differs between processors in the last bits."""
    if wanted.shape != found.shape or wanted.dtype.kind != "f":
        return np.array_equal(wanted, found)
    return np.allclose(wanted, found, rtol=1e-4, atol=1e-6, equal_nan=True)


def _misfit(outputs: Mapping[str, NDArray[Any]], specs: tuple[TensorSpec, ...]) -> str | None:
    for spec in specs:
        if spec.name not in outputs:
            return f"there is no output '{spec.name}'"
        found = outputs[spec.name]
        if found.ndim != len(spec.shape) or not _of_type(found, spec.dtype):
            return f"output '{spec.name}' is {found.dtype} of rank {found.ndim}, not {spec.dtype}"
    return None


def _of_type(found: NDArray[Any], name: str) -> bool:
    wanted = np.dtype(name)
    # Text is of any length.
    return found.dtype == wanted or (found.dtype.kind == wanted.kind == "U")


def _rows(arrays: Arrays, start: int, stop: int) -> Arrays:
    return {name: array[start:stop] for name, array in arrays.items()}


def _joined(parts: tuple[Arrays, ...]) -> Arrays:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
