# SPDX-License-Identifier: Apache-2.0
"""All builds of a compilation, several at once.

What becomes of a build is data. An interrupt, or a full disk that one of them
meets, ends them all at once and leaves no process behind.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from insight_edge.bundle.durable import storing
from insight_edge.compile.cache import build_once
from insight_edge.compile.discovery import backends
from insight_edge.compile.job import BuildJob
from insight_edge.compile.outcome import BuildOutcome
from insight_edge.compile.seam import Backend
from insight_edge.compile.settings import Settings
from insight_edge.documents.facts import Missing

Outcomes = dict[str, BuildOutcome]
"""By token of the target."""


def build_all(
    jobs: Sequence[BuildJob],
    cache: Path,
    settings: Settings,
    tell: Callable[[str], None] = lambda _: None,
) -> Outcomes:
    """Return what became of each job.

    Args:
        jobs: of different targets.
        cache: directory in which builds are kept.
        settings: how many at once, and within which limits.
        tell: called with a few words whenever a build begins.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    with storing(cache):
        cache.mkdir(parents=True, exist_ok=True)
    toolchains = toolchain_versions({job.target.backend for job in jobs})
    stop = threading.Event()

    def one(job: BuildJob) -> BuildOutcome:
        tell(f"building {job.target.token}")
        toolchain = toolchains[job.target.backend]
        return build_once(job, cache, toolchain=toolchain, limits=settings.limits, stop=stop)

    with ThreadPoolExecutor(settings.jobs) as pool:
        begun = {pool.submit(one, job): job.target.token for job in jobs}
        try:
            found = {begun[future]: future.result() for future in as_completed(begun)}
        finally:
            # What is still not done is wanted by nobody after an interrupt or on a full disk.
            stop.set()
            pool.shutdown(cancel_futures=True)
    return {job.target.token: found[job.target.token] for job in jobs}


def toolchain_versions(tokens: set[str]) -> dict[str, dict[str, str]]:
    """Return the versions that the builds of each backend depend on, as far as it says."""
    known = backends()
    return {token: _versions(known.get(token)) for token in sorted(tokens)}


def _versions(backend: Backend | Missing | None) -> dict[str, str]:
    toolchain = None if backend is None or isinstance(backend, Missing) else backend.toolchain()
    return toolchain if isinstance(toolchain, dict) else {}
