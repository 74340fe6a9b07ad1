# SPDX-License-Identifier: Apache-2.0
"""What is printed: a table for people or JSON for programs on stdout, progress on stderr."""

from math import isnan
from typing import Literal

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks.figure import Figure
from benchmarks.session import Session
from insight_edge.documents.codec import to_plain

UNITS = {"x": " x", "us": " µs", "ms": " ms", "s": " s", "%": " %", "MB": " MB", "": ""}
STYLES = {"WITHIN": "green", "OVER": "bold red", "NOISY": "yellow"}
PIPED_WIDTH = 160
"""Columns where stdout is no terminal and Rich would assume 80."""

err = Console(stderr=True, highlight=False)


def show(session: Session) -> None:
    """Print the figures as a table, and below it what they were taken on."""
    out = Console(highlight=False)
    if not out.is_terminal:
        out = Console(highlight=False, width=PIPED_WIDTH)
    out.print(_table(session.figures))
    out.print(escape(_conditions(session)), style="dim")


def emit(session: Session) -> None:
    """Print all as indented JSON."""
    print(msgspec.json.format(msgspec.json.encode(to_plain(session)), indent=2).decode())


def complain(message: str, hint: str | None) -> None:
    """Print an error as one line, and its hint as a second."""
    err.print(f"[bold red]error:[/] {escape(message)}", soft_wrap=True)
    if hint:
        err.print(f"[dim]hint:[/] {escape(hint)}", soft_wrap=True)


def value_text(figure: Figure) -> str:
    """Return the value with its unit; a dash where there is none."""
    if isnan(figure.value.value):
        return "-"
    return _number(figure.value.value, figure) + UNITS[figure.unit]


def interval_text(figure: Figure) -> str:
    """Return the ends of the interval; nothing for what was counted."""
    if figure.value.confidence == 1:
        return ""
    return f"{_number(figure.value.low, figure)} to {_number(figure.value.high, figure)}"


def bar_text(figure: Figure) -> str:
    """Return the bar with its unit, or a dash."""
    return "-" if figure.bar is None else f"≤ {figure.bar:g}{UNITS[figure.unit]}"


def _number(value: float, figure: Figure) -> str:
    sign = "+" if figure.unit == "us" else ""
    return f"{value:g}" if figure.unit == "" else f"{value:{sign}.{_digits(figure)}f}"


def _digits(figure: Figure) -> int:
    return 3 if figure.unit == "x" else 1


def _table(figures: tuple[Figure, ...]) -> Table:
    table = Table(header_style="bold")
    columns: tuple[tuple[str, Literal["left", "right"]], ...] = (
        ("figure", "left"),
        ("case", "left"),
        ("measured", "left"),
        ("over", "left"),
        ("value", "right"),
        ("95 % interval", "right"),
        ("bar", "right"),
        ("verdict", "left"),
        ("", "left"),
    )
    for name, justify in columns:
        table.add_column(name, justify=justify, overflow="fold")
    previous = None
    for figure in figures:
        if previous is not None and (figure.name, figure.case) != previous:
            table.add_section()
        previous = (figure.name, figure.case)
        table.add_row(*_cells(figure))
    return table


def _cells(figure: Figure) -> tuple[str, ...]:
    verdict = figure.verdict or "-"
    return (
        figure.name,
        figure.case,
        figure.measured,
        figure.peer,
        value_text(figure),
        interval_text(figure),
        bar_text(figure),
        f"[{STYLES.get(verdict, 'dim')}]{verdict}[/]",
        figure.note,
    )


def _conditions(session: Session) -> str:
    facts = session.facts
    engines = ", ".join(f"{name} {engine.version}" for name, engine in facts.engines.items())
    return (
        f"{session.date} · {facts.cpu_model}, {facts.cores} processors, "
        f"{facts.memory_bytes / 2**30:.0f} GiB · {engines}, Python {session.python}\n"
        f"load {session.load_1min:.1f} at the end, "
        f"{session.steal_share:.1%} of the time taken by the hypervisor"
    )
