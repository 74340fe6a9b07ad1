# SPDX-License-Identifier: Apache-2.0
"""Verb `toolchain`: the environments that engines and compilers have to themselves."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.markup import escape

from insight_edge.cli.screen import Format, emit, err
from insight_edge.compile.toolchains.environments import (
    environment_names,
    environment_python,
    install_environment,
)
from insight_edge.errors import ToolchainMissingError

app = App(name="toolchain", help="Install and list the locked environments of engines.")


@app.command(name="list")
def list_(*, format: Format = "table") -> None:  # noqa: A002 - the flag is --format
    """List every environment and whether it is installed.

    Args:
        format: how to print.
    """
    emit([_row(name) for name in environment_names()], format)


@app.command
def install(*names: str) -> None:
    """Install environments from their locks, several at once.

    Args:
        names: which; see `toolchain list`.
    """
    missing = []
    for name in dict.fromkeys(names):
        if _row(name)["installed"] == "yes":
            err.print(f"{name}: already installed")
        else:
            missing.append(name)
    with (
        err.status(f"installing {', '.join(missing)}"),
        ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool,
    ):
        for name, _ in zip(missing, pool.map(install_environment, missing), strict=True):
            err.print(f"{name}: installed")


@app.command
def work(
    folder: Path,
    *,
    cache: Path | None = None,
    once: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Build what compilations on other machines hand to a folder, until stopped (SIGTERM, Ctrl-C).

    Whoever may write to the folder can have models compiled here, by the backends and within the
    limits of this machine.

    Args:
        folder: that both can reach; `insight-edge compile --builder` names it there.
        cache: directory of this machine alone in which backends keep what makes later builds
            better or the same: what was tuned and timed.
        once: do one job, and end.
    """
    from insight_edge.compile.remote.builder import Builder

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    builder = Builder(folder=folder, cache=cache, stop=stop, tell=_say)
    _say(f"{folder}: waiting for jobs")
    builder.work(once=once)


def _say(words: str) -> None:
    err.print(escape(words), soft_wrap=True)


def _row(name: str) -> dict[str, str]:
    try:
        python = environment_python(name)
    except ToolchainMissingError as error:
        return {"environment": name, "installed": "no", "detail": str(error)}
    return {"environment": name, "installed": "yes", "detail": str(python)}
