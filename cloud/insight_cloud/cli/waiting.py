# SPDX-License-Identifier: Apache-2.0
"""Wait for a job, and show on stderr how far it is. Whoever interrupts it leaves the job as it is.

On a terminal a bar moves in place; elsewhere a line is added whenever something changes.
"""

import math
import threading
import time

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from insight_cloud.cli.screen import err
from insight_cloud.jobs.job import OPEN, Job, State
from insight_cloud.jobs.service import Jobs

LOOK_S = 0.5

HINT_S = 20.0
"""When no device was told by then, it is said what that may be for."""


def wait_for(jobs: Jobs, id_: str, console: Console = err, *, hint_s: float = HINT_S) -> Job:
    """Return a job that is over, or that somebody has taken back.

    Raises:
        NotFoundError: there is no such job.
        StorageError: it cannot be read.
        KeyboardInterrupt: somebody would rather not wait.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    shown, pause, hint_at_s = "", threading.Event(), time.monotonic() + hint_s
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("", total=None)
        try:
            while True:
                job, members = jobs.get(id_), jobs.members(id_)
                ended = sum(one.state not in OPEN for one in members)
                description = escape(job.reason)
                bar.update(task, description=description, completed=ended, total=len(members))
                if job.reason != shown and not console.is_terminal:
                    console.print(description)
                shown = job.reason
                if job.ended is not None or job.withdrawn is not None:
                    return job
                if job.state is State.WAITING and time.monotonic() >= hint_at_s:
                    console.print("no device was told yet: a cloud that is up tells those online")
                    hint_at_s = math.inf
                pause.wait(LOOK_S)
        except KeyboardInterrupt:
            console.print(f"the job goes on: insight-cloud job show {id_}")
            raise
