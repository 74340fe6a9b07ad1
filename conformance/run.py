# SPDX-License-Identifier: Apache-2.0
"""Many cases in a few lanes, each with children of its own."""

import os
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty, SimpleQueue

from conformance.attempt import Attempt
from conformance.corpus import Case
from conformance.crew import Crew
from conformance.record import Record, Row

Tell = Callable[[Record, int], None]
"""Called with what was found so far, and of how many cases."""


def run(
    chosen: Sequence[Case],
    backends: Sequence[str],
    *,
    limit_s: float,
    bare: bool = True,
    lanes: int | None = None,
    tell: Tell = lambda _, __: None,
) -> dict[str, Row]:
    """Return what became of each case, by its id.

    Args:
        chosen: the cases.
        backends: tokens.
        limit_s: of one step of a case.
        bare: whether to ask the bare engines, too.
        lanes: that work at once; one a processor by default.
        tell: called after every case.

    Raises:
        ToolchainMissingError: an environment is not installed.
    """
    waiting: SimpleQueue[Case] = SimpleQueue()
    for case in chosen:
        waiting.put(case)
    found: dict[str, Row] = {}

    def lane(place: Path) -> None:
        place.mkdir()
        with Crew(limit_s=limit_s, log=place / "log") as crew:
            attempt = Attempt(backends=backends, place=place, crew=crew, bare=bare)
            while True:
                try:
                    case = waiting.get_nowait()
                except Empty:
                    return
                found[case.id] = attempt.run(case)
                tell(dict(found), len(chosen))

    width = min(lanes or len(os.sched_getaffinity(0)), len(chosen))
    if not width:
        return {}
    with (
        tempfile.TemporaryDirectory(prefix="conformance-") as folder,
        ThreadPoolExecutor(width) as pool,
    ):
        for ended in [pool.submit(lane, Path(folder) / str(i)) for i in range(width)]:
            ended.result()
    return found
