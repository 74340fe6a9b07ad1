# SPDX-License-Identifier: Apache-2.0
"""Wait for a job, and show on stderr how far it is. Whoever interrupts it leaves the job as it is.

On a terminal a bar moves in place; elsewhere a line is added whenever something changes.
"""

import threading

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from insight_cloud.cli.screen import err
from insight_cloud.jobs.job import OPEN, Job
from insight_cloud.jobs.service import Jobs

LOOK_S = 0.5


def wait_for(jobs: Jobs, id_: str, console: Console = err) -> Job:
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
    shown, pause = "", threading.Event()
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
                pause.wait(LOOK_S)
        except KeyboardInterrupt:
            console.print(f"the job goes on: insight-cloud job show {id_}")
            raise
