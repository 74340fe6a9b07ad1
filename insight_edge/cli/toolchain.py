# SPDX-License-Identifier: Apache-2.0
"""Verb `toolchain`: the environments that engines and compilers have to themselves."""

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
    """Install environments from their locks.

    Args:
        names: which; see `toolchain list`.
    """
    for name in names:
        if _row(name)["installed"] == "yes":
            err.print(f"{name}: already installed")
            continue
        with err.status(f"installing {name}"):
            install_environment(name)
        err.print(f"{name}: installed")


def _row(name: str) -> dict[str, str]:
    try:
        python = environment_python(name)
    except ToolchainMissingError as error:
        return {"environment": name, "installed": "no", "detail": str(error)}
    return {"environment": name, "installed": "yes", "detail": str(python)}
