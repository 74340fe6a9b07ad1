# SPDX-License-Identifier: Apache-2.0
"""Verb `toolchain`: the environments that engines and compilers have to themselves."""

import os
from concurrent.futures import ThreadPoolExecutor

from cyclopts import App

from insight_edge.cli.screen import Format, emit, err
from insight_edge.compile.environments import (
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


def _row(name: str) -> dict[str, str]:
    try:
        python = environment_python(name)
    except ToolchainMissingError as error:
        return {"environment": name, "installed": "no", "detail": str(error)}
    return {"environment": name, "installed": "yes", "detail": str(python)}
