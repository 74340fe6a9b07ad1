# SPDX-License-Identifier: Apache-2.0
"""What the verbs `bench` and `compare` time and show: variants of bundles, side by side."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.markup import escape

from insight_edge import __version__
from insight_edge.bench.exchange import Preparation
from insight_edge.bench.machine import machine_facts
from insight_edge.bench.results import rounds_p50_ms, samples_ms
from insight_edge.bench.subject import AS_USUAL, SubjectProcess
from insight_edge.bench.timing import Scheme, Timed, time_launches
from insight_edge.bench.verdict import MIN_ITERATIONS
from insight_edge.bundle.open import Bundle, open_manifest
from insight_edge.cli.arrays import read_arrays
from insight_edge.cli.screen import Format, emit, err
from insight_edge.compile.toolchains.environments import device_python
from insight_edge.documents.evidence import Interval
from insight_edge.documents.facts import EngineFacts
from insight_edge.documents.result import BenchResult, artifact_digest
from insight_edge.errors import ConfigurationError
from insight_edge.runtime.loading import engine_facts
from insight_edge.runtime.processor import isa_extensions, usable_threads
from insight_edge.stats.early_stopping import queries_needed

ALL = "all"
"""In place of a variant's name."""


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A variant of a bundle that is to be timed."""

    bundle: Bundle
    variant: str

    @property
    def label(self) -> str:
        """What people call it."""
        return f"{self.bundle.path.name}/{self.variant}"


def contender(bundle: Path, variant: str | None) -> Contender:
    """Return a variant of the bundle in a directory, the winner for None.

    Raises:
        InputError: the bundle is malformed, there is no such variant, or it is for another
            processor.
    """
    # The child compares the digests; here the manifest says what there is.
    opened = open_manifest(bundle, allow_unsigned=True)
    found = opened.variant(variant)
    lacking = sorted(set(found.isa) - set(isa_extensions()))
    if lacking:
        raise ConfigurationError(
            f"{bundle.name}/{found.name} is for another processor: this one has no "
            f"{', '.join(lacking)}",
            hint=f"the bundle was built for {opened.manifest.profile}: time it there",
        )
    return Contender(bundle=opened, variant=found.name)


def contenders_of(bundle: Path, variants: Sequence[str]) -> tuple[Contender, ...]:
    """Return variants of the bundle in a directory, each once: the winner where none is named.

    Raises:
        InputError: the bundle is malformed, or there is no such variant.
    """
    there = [one.name for one in open_manifest(bundle, allow_unsigned=True).manifest.variants]
    names = there if ALL in variants else variants or there[:1]
    return tuple(contender(bundle, name) for name in dict.fromkeys(names))


def scheme_from_flags(
    *,
    rounds: int,
    iterations: int | None,
    threads: int | None,
    seed: int,
    launches: int = 1,
    duration_s: float | None = None,
) -> Scheme:
    """Return how subjects are timed; with all threads that this process may use for None.

    Raises:
        ConfigurationError: fewer than one thread, round, inference or launch.
    """
    asked = {
        "--rounds": rounds,
        "--iterations": iterations,
        "--threads": threads,
        "--launches": launches,
    }
    for flag, count in asked.items():
        if count is not None and count < 1:
            raise ConfigurationError(f"{flag} is {count}, at least 1 is needed")
    used = usable_threads() if threads is None else threads
    least = -(-MIN_ITERATIONS // launches)
    return Scheme(
        rounds=rounds,
        iterations=iterations,
        duration_s=duration_s,
        least=least,
        threads=used,
        seed=seed,
    )


def with_percentiles(scheme: Scheme, percents: Sequence[float]) -> Scheme:
    """Return a scheme that has enough queries for percentiles, where nobody said how many."""
    needed = [queries_needed(percent / 100) for percent in percents]
    return replace(scheme, percents=tuple(percents), least=max([scheme.least, *needed]))


def time_contenders(
    contenders: Sequence[Contender],
    scheme: Scheme,
    *,
    rows: Path | None,
    python: Path | None,
    launches: int = 1,
    preparation: Preparation = AS_USUAL,
    cpus: Sequence[int] = (),
) -> tuple[tuple[Timed, ...], ...]:
    """Return for each launch the rounds and measurement of each contender, in order.

    Args:
        contenders: all alive at once, each in a child process.
        scheme: how they are timed in each launch.
        rows: .npz with their inputs; the golden inputs of each for None.
        python: interpreter that they run in; for None this one, or that of the device's environment
            where this one lacks the engine.
        launches: how often all are started.
        preparation: of each for being timed.
        cpus: processors that all are pinned to; none means all.

    Raises:
        ConfigurationError: the rows cannot be read.
        InsightEdgeError: as `SubjectProcess` and `time_subjects`.
    """
    starts = [
        partial(_start(one, scheme, rows, python), preparation=preparation, cpus=cpus)
        for one in contenders
    ]
    labels = ", ".join(one.label for one in contenders)
    with err.status(escape(f"measuring {labels}")) as status:
        return time_launches(
            starts,
            scheme,
            launches=launches,
            tell=lambda done: status.update(escape(f"measured {labels}: {done} of {launches}")),
        )


def results_of(
    contenders: Sequence[Contender],
    timed: Sequence[Timed],
    *,
    device: str,
    samples: int,
    cpus: Sequence[int] = (),
) -> tuple[BenchResult, ...]:
    """Return what one launch of contenders leaves in a file of results.

    Args:
        contenders: in the order of `timed`.
        timed: of one launch.
        device: what this machine is called.
        samples: latencies kept of each, at most.
        cpus: processors that all were pinned to.
    """
    run, host = secrets.token_hex(8), machine_facts(engine_facts())
    return tuple(
        BenchResult(
            run=run,
            at_s=found.at_s,
            release=__version__,
            device=device,
            host=host,
            packages=dict(found.packages),
            profile=one.bundle.manifest.profile,
            model=one.bundle.manifest.model,
            bundle=one.bundle.digest,
            variant=one.variant,
            target=one.bundle.variant(one.variant).target,
            cpus=tuple(cpus),
            artifact=artifact_digest(one.bundle.variant(one.variant).files),
            measurement=found.measurement,
            rounds_p50_ms=rounds_p50_ms(found.blocks),
            samples_ms=samples_ms(found.blocks, samples),
        )
        for one, found in zip(contenders, timed, strict=True)
    )


def interval_cell(estimate: Interval) -> str:
    """Return an estimate and its interval as text."""
    return f"{estimate.value:.3g} [{estimate.low:.3g}, {estimate.high:.3g}]"


def show(rows: Sequence[dict[str, Any]], output: Format, *, title: str, document: Any) -> None:
    """Print rows whose text a table shows as it is: names may hold square brackets."""
    if output == "table":
        rows = [{k: escape(v) if isinstance(v, str) else v for k, v in r.items()} for r in rows]
    emit(rows, output, title=title, document=document)


def _start(
    one: Contender, scheme: Scheme, rows: Path | None, python: Path | None
) -> Callable[..., SubjectProcess]:
    names = [spec.name for spec in one.bundle.manifest.io.inputs]
    return partial(
        SubjectProcess,
        one.bundle.path,
        variant=one.variant,
        threads=scheme.threads,
        python=python or _python(one),
        inputs=None if rows is None else read_arrays(rows, names),
    )


def _python(one: Contender) -> Path | None:
    """Return the interpreter that has a contender's engine; None for this one."""
    token = one.bundle.variant(one.variant).target.backend
    here = isinstance(engine_facts().get(token), EngineFacts)
    return None if here else device_python(token)
