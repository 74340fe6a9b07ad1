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
from insight_edge.compile.settings import Settings
from insight_edge.compile.toolchain import Toolchain
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
    found = toolchains({job.target.backend for job in jobs})
    stop = threading.Event()

    def one(job: BuildJob) -> BuildOutcome:
        tell(f"building {job.target.token}")
        toolchain = found.get(job.target.backend, Toolchain(versions={}))
        return build_once(job, cache, toolchain, limits=settings.limits, stop=stop)

    with ThreadPoolExecutor(settings.jobs) as pool:
        begun = {pool.submit(one, job): job.target.token for job in jobs}
        try:
            outcomes = {begun[future]: future.result() for future in as_completed(begun)}
        finally:
            # What is still not done is wanted by nobody after an interrupt or on a full disk.
            stop.set()
            pool.shutdown(cancel_futures=True)
    return {job.target.token: outcomes[job.target.token] for job in jobs}


def toolchains(tokens: set[str]) -> dict[str, Toolchain]:
    """Return what the builds of each backend run in; one that is missing has no entry."""
    known = ((token, backends().get(token)) for token in sorted(tokens))
    asked = {t: b.toolchain() for t, b in known if b is not None and not isinstance(b, Missing)}
    return {token: found for token, found in asked.items() if isinstance(found, Toolchain)}
