# SPDX-License-Identifier: Apache-2.0
"""Where the verbs print: data to stdout, the rest to stderr."""

import sys
from typing import Any, Literal

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

Format = Literal["table", "json"]

err = Console(stderr=True, highlight=False)


def print_table(table: Table) -> None:
    """Print a table, as wide as the terminal or 160 columns."""
    width = None if sys.stdout.isatty() else 160
    Console(highlight=False, width=width).print(table)


def print_json(value: Any) -> None:
    """Print a value for programs."""
    data = msgspec.json.format(msgspec.json.encode(value), indent=2)
    sys.stdout.write(data.decode() + "\n")


def complain(message: str, hint: str | None) -> None:
    """Print an error as one line, and its hint."""
    err.print(f"[bold red]error:[/] {escape(message)}", soft_wrap=True)
    if hint:
        err.print(f"[dim]hint:[/] {escape(hint)}", soft_wrap=True)
