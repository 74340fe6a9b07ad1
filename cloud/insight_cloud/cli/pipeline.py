# SPDX-License-Identifier: Apache-2.0
"""Verbs `pipeline …`: list and show retraining runs, start one, cancel one."""

import sys
from typing import Annotated

from cyclopts import App, Parameter
from rich.table import Table

from insight_cloud.cli.opening import State, opened, whoever
from insight_cloud.cli.screen import Format, err, print_json, print_table
from insight_cloud.pipelines.rules import Run
from insight_cloud.platform.clock import now

app = App(name="pipeline", help="List and show retraining runs, start one, cancel one.")


@app.command(name="list")
def list_(
    *,
    model: str | None = None,
    state: State = None,
    format: Format = "table",  # noqa: A002 - the flag is --format
) -> None:
    """List runs, the newest first.

    Args:
        model: only of this one.
        state: folder of this installation.
        format: how to print.
    """
    with opened(state) as cloud:
        runs = cloud.pipelines.runs(model)
    if format == "json":
        print_json(runs)
        return
    table = Table(title="Runs", title_justify="left")
    for name in ("run", "model", "state", "opened", "because", "how it ended"):
        table.add_column(name, overflow="fold")
    for run in runs:
        table.add_row(run.id, f"{run.model} {run.number}", run.state.value,
                      f"{run.opened:%Y-%m-%d %H:%M}", run.because, run.reason)  # fmt: skip
    print_table(table)


@app.command
def show(run: str, /, *, state: State = None, format: Format = "table") -> None:  # noqa: A002 - the flag is --format
    """Show a run with its steps.

    Args:
        run: its id.
        state: folder of this installation.
        format: how to print.
    """
    with opened(state) as cloud:
        found = cloud.pipelines.run(run)
    if format == "json":
        print_json(found)
        return
    print_table(_steps(found))
    err.print(f"{found.state.value}: {found.reason or found.because}", markup=False)


@app.command
def start(
    model: str,
    /,
    *,
    because: Annotated[str, Parameter(name=["--because"])] = "a person asked for it",
    state: State = None,
) -> None:
    """Open a run of a model; a worker takes it up.

    Args:
        model: its name.
        because: why, in a sentence.
        state: folder of this installation.
    """
    with opened(state) as cloud:
        run = cloud.pipelines.open(model, because=because, by=whoever(), now=now())
    err.print(f"run {run.number} of {model} is queued")
    sys.stdout.write(run.id + "\n")


@app.command
def cancel(run: str, /, *, state: State = None) -> None:
    """Ask for the end of a run.

    Args:
        run: its id.
        state: folder of this installation.
    """
    with opened(state) as cloud:
        found = cloud.pipelines.cancel(run, by=whoever(), now=now())
    err.print(f"run {found.number} of {found.model}: {found.state.value}, asked to end")


def _steps(run: Run) -> Table:
    table = Table(title=f"{run.model}, run {run.number}", title_justify="left")
    for name in ("step", "state", "took s", "what"):
        table.add_column(name, overflow="fold")
    for step in run.steps:
        took = "" if step.ended is None else f"{(step.ended - step.started).total_seconds():.1f}"
        table.add_row(step.name, step.state.value, took, step.text)
    return table
