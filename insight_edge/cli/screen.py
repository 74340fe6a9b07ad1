# SPDX-License-Identifier: Apache-2.0
"""What a person or a program sees: data on stdout, everything else on stderr.

Verbs hand rows over; this module alone knows how they look as a table, JSON,
CSV or Markdown. It decides nothing.
"""

import csv
import io
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
from rich.console import Console
from rich.table import Table

from insight_edge.documents.codec import to_plain

Format = Literal["table", "json", "csv", "md"]

PIPED_WIDTH = 160
"""Columns of a table when stdout is no terminal, where Rich would assume 80."""

out = Console(width=None if sys.stdout.isatty() else PIPED_WIDTH, highlight=False)
err = Console(stderr=True, highlight=False)


def emit(
    rows: Sequence[Mapping[str, Any]],
    output: Format = "table",
    *,
    title: str | None = None,
    document: Any = None,
) -> None:
    """Print rows (one mapping a row, the same keys in each) to stdout.

    Args:
        rows: what people read; cells may hold Rich markup only for the table.
        output: how.
        title: of the table.
        document: what `json` prints instead of the rows, where a document says more.
    """
    if output == "json":
        emit_json(document if document is not None else rows)
    elif output == "csv":
        sys.stdout.write(_csv(rows))
    elif output == "md":
        sys.stdout.write(_markdown(rows))
    else:
        out.print(_table(rows, title))


def emit_json(value: Any) -> None:
    """Print a document, or plain rows, as indented JSON to stdout."""
    plain = to_plain(value)
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(plain), indent=2).decode() + "\n")


def complain(message: str, hint: str | None) -> None:
    """Print an error as one line to stderr, and its hint as a second."""
    err.print(f"[bold red]error:[/] {_escape(message)}", soft_wrap=True)
    if hint:
        err.print(f"[dim]hint:[/] {_escape(hint)}", soft_wrap=True)


def _table(rows: Sequence[Mapping[str, Any]], title: str | None) -> Table:
    table = Table(title=title, title_justify="left", header_style="bold")
    for name in rows[0] if rows else ():
        numeric = all(isinstance(row[name], (int, float)) for row in rows)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    return table


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [])
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return ""
    lines = ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]
    lines += ["| " + " | ".join(map(_markdown_cell, row.values())) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _markdown_cell(value: Any) -> str:
    return " ".join(_cell(value).replace("|", r"\|").splitlines())


def _escape(text: str) -> str:
    return text.replace("[", r"\[")
