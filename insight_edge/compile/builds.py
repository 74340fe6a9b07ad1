# SPDX-License-Identifier: Apache-2.0
"""All builds of a compilation, several at once, each on processors of its own.

One that measures what it builds (that can be tuned) comes after the others and
has the whole machine. What becomes of a build is data. An interrupt, or a full
disk that one of them meets, ends them all at once and leaves no process behind.
"""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path

from insight_edge.bundle.durable import storing
from insight_edge.compile.building.cache import build_once, explain_miss
from insight_edge.compile.building.concurrency import (
    builds_at_once,
    pin,
    shares,
    usable_cpus,
)
from insight_edge.compile.building.durations import Duration, add_durations, read_durations
from insight_edge.compile.building.kept import traces_place
from insight_edge.compile.building.location import Site
from insight_edge.compile.building.misses import Lookup
from insight_edge.compile.building.outcome import BuildLimits, BuildOutcome, Built
from insight_edge.compile.job import BuildJob
from insight_edge.compile.plugins.discovery import backends
from insight_edge.compile.plugins.seam import TUNING, Tuning
from insight_edge.compile.progress import Step, Watch, watch_nothing
from insight_edge.compile.settings import Settings
from insight_edge.compile.toolchains.toolchain import Toolchain
from insight_edge.documents.facts import Missing
from insight_edge.runtime.memory import available_bytes

BUILT_ANEW = Lookup(state="anew", why=("what it leaves behind is to be kept",))

Outcomes = dict[str, BuildOutcome]
"""By token of the target."""


def build_all(
    jobs: Sequence[BuildJob],
    cache: Path,
    settings: Settings,
    tell: Callable[[str], None] = lambda _: None,
    watch: Watch = watch_nothing,
    sites: Mapping[str, Site] | None = None,
) -> Outcomes:
    """Return what became of each job.

    Args:
        jobs: of different targets.
        cache: directory in which builds are kept.
        settings: how many at once, and within which limits.
        tell: called with a few words whenever a build begins.
        watch: called with where each target has got to, from several threads.
        sites: where the builds of a backend run, by its token; all of them here for None.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    with storing(cache):
        cache.mkdir(parents=True, exist_ok=True)
    found = sites_here({job.target.backend for job in jobs}) if sites is None else sites
    stop = threading.Event()
    steps = {job.target.token: _waiting(job, cache, settings.limits) for job in jobs}
    for step in steps.values():
        watch(step)

    def one(job: BuildJob) -> BuildOutcome:
        step = steps[job.target.token]
        tell(f"building {job.target.token}")
        watch(replace(step, state="building"))
        site = found.get(job.target.backend, Site(toolchain=Toolchain(versions={})))
        traces = traces_place(settings.keep, job.target) if settings.keep else None
        if settings.explain is not None:
            looked = BUILT_ANEW if traces else explain_miss(job, cache, site.toolchain)
            settings.explain(job.target.token, looked)
        outcome = build_once(
            job,
            cache,
            site.toolchain,
            limits=settings.limits,
            stop=stop,
            location=site.location,
            traces=traces,
        )
        watch(_ended(step, outcome))
        return outcome

    alone = [job for job in jobs if _measures(job)]
    together = [job for job in jobs if job not in alone]
    outcomes = _run(one, together, settings, stop)
    outcomes |= _run(one, alone, replace(settings, jobs=1), stop)
    add_durations(cache, _durations(jobs, outcomes))
    return {job.target.token: outcomes[job.target.token] for job in jobs}


def _run(
    one: Callable[[BuildJob], BuildOutcome],
    jobs: Sequence[BuildJob],
    settings: Settings,
    stop: threading.Event,
) -> Outcomes:
    if not jobs:
        return {}
    cpus = usable_cpus()
    count = builds_at_once(
        len(jobs),
        wanted=settings.jobs,
        cpus=len(cpus),
        free_bytes=available_bytes(),
        model_bytes=max(_model_bytes(job) for job in jobs),
        limits=settings.limits or BuildLimits(),
    )
    parts = list(shares(cpus, count))
    with ThreadPoolExecutor(count, initializer=lambda: pin(parts.pop())) as pool:
        begun = {pool.submit(one, job): job.target.token for job in jobs}
        try:
            return {begun[future]: future.result() for future in as_completed(begun)}
        finally:
            # What is still not done is wanted by nobody after an interrupt or on a full disk.
            if not all(future.done() for future in begun):
                stop.set()
            pool.shutdown(cancel_futures=True)


def _measures(job: BuildJob) -> bool:
    """Return whether the build times code, or chooses by what was timed on all processors."""
    backend: object = backends().get(job.target.backend)
    return isinstance(backend, Tuning) and backend.tunes(job.target)


def _model_bytes(job: BuildJob) -> int:
    return Path(job.model).stat().st_size


def _waiting(job: BuildJob, cache: Path, limits: BuildLimits | None) -> Step:
    tuning_s = float(job.target.options.get(TUNING, 0.0))
    usual_s = read_durations(cache).usual_s(job.target.token, _model_bytes(job))
    return Step(
        token=job.target.token,
        state="waiting",
        usual_s=None if usual_s is None else usual_s + tuning_s,
        most_s=(limits or BuildLimits()).wall_s + tuning_s,
    )


def _ended(step: Step, outcome: BuildOutcome) -> Step:
    if not isinstance(outcome, Built):
        return replace(step, state="failed", build_s=outcome.build_s, why=outcome.reason)
    return replace(step, state="built", build_s=0.0 if outcome.cached else outcome.build_s)


def _durations(jobs: Sequence[BuildJob], outcomes: Outcomes) -> dict[str, Duration]:
    """Return how long those took that were built now, the time for tuning apart."""
    made = {job.target.token: (job, outcomes[job.target.token]) for job in jobs}
    return {
        token: Duration(
            model_bytes=_model_bytes(job),
            build_s=max(0.0, one.build_s - float(job.target.options.get(TUNING, 0.0))),
        )
        for token, (job, one) in made.items()
        if isinstance(one, Built) and not one.cached
    }


def sites_here(tokens: Collection[str]) -> dict[str, Site]:
    """Return where each backend builds on this machine; none where its toolchain is missing."""
    known = ((token, backends().get(token)) for token in sorted(tokens))
    asked = {t: b.toolchain() for t, b in known if b is not None and not isinstance(b, Missing)}
    return {t: Site(toolchain=found) for t, found in asked.items() if isinstance(found, Toolchain)}
