# SPDX-License-Identifier: Apache-2.0
"""What a running compilation shows on stderr: a line for each target, and the time left.

On a terminal the lines change in place and vanish at the end; elsewhere a line is
added whenever a build begins or ends. How long something takes is decided in
`compile.progress`; what is not known is not shown.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from insight_edge.cli.screen import err
from insight_edge.compile.progress import (
    Left,
    Rounds,
    Step,
    build_left,
    builds_left,
    rounds_left,
)

REFRESHES_A_SECOND = 4
Clock = Callable[[], float]

STYLES = {
    "waiting": "dim",
    "building": "bold",
    "built": "green",
    "failed": "red",
    "asking": "bold",
    "asked": "green",
}


class Progress(Protocol):
    """What is told while a compilation runs, from several threads."""

    def tell(self, words: str) -> None:
        """Take a few words on what is done now."""
        ...

    def watch(self, event: Step | Rounds) -> None:
        """Take where one target, or the measurement, has got to."""
        ...


@contextmanager
def progress(title: str, console: Console = err) -> Iterator[Progress]:
    """Show how a compilation gets on until the block is left.

    Args:
        title: stands before every line; the profile.
        console: a terminal or not.
    """
    if not console.is_terminal:
        yield Lines(title, console)
        return
    board = Board(title)
    # Data goes to stdout as ever: nothing of it is caught.
    shown = Live(
        board,
        console=console,
        refresh_per_second=REFRESHES_A_SECOND,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    with shown:
        yield board


class Lines:
    """Progress where nothing can be changed once it is written."""

    def __init__(self, title: str, console: Console) -> None:
        self._title = title
        self._console = console

    def tell(self, words: str) -> None:
        """Say nothing: what matters is an event."""

    def watch(self, event: Step | Rounds) -> None:
        """Print a line where a build begins or ends, and where the measurement begins."""
        words = _line(event)
        if words is not None:
            self._console.print(escape(f"{self._title}: {words}"), soft_wrap=True)


@dataclass
class _Row:
    """One target on the board; `began_s` is when its state was entered."""

    step: Step
    began_s: float


@dataclass
class Board:
    """Progress on a terminal; drawn anew several times a second.

    Attributes:
        title: stands before the first line.
        clock: seconds that only grow.
    """

    title: str
    clock: Clock = time.monotonic
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _rows: dict[str, _Row] = field(default_factory=dict)
    _words: str = "reading the model"
    _measuring: tuple[Rounds, float] | None = None
    _spinner: Spinner = field(default_factory=lambda: Spinner("dots"))

    def tell(self, words: str) -> None:
        """Take what the first line says where no build and no measurement runs."""
        with self._lock:
            self._words = words

    def watch(self, event: Step | Rounds) -> None:
        """Take where one target, or the measurement, has got to."""
        now_s = self.clock()
        with self._lock:
            if isinstance(event, Rounds):
                began_s = self._measuring[1] if self._measuring and event.done else now_s
                self._measuring = (event, began_s)
                return
            known = self._rows.get(event.token)
            if known is not None and event.build_s is None:
                event = replace(event, build_s=known.step.build_s)
            self._rows[event.token] = _Row(step=event, began_s=now_s)

    def __rich__(self) -> Group:
        """Return how it looks now."""
        with self._lock:
            now_s = self.clock()
            self._spinner.update(text=Text(f"{self.title}: {self._headline(now_s)}"))
            return Group(self._spinner, self._table(now_s))

    def _headline(self, now_s: float) -> str:
        if self._measuring is not None:
            rounds, began_s = self._measuring
            if rounds.done < rounds.of:
                words = f"measuring, round {rounds.done + 1} of {rounds.of}"
                return words + _left(rounds_left(rounds, now_s - began_s))
            return self._words
        steps = [row.step for row in self._rows.values()]
        todo = [step for step in steps if step.state in {"waiting", "building"}]
        if not todo:
            return self._words
        done = f"building, {len(steps) - len(todo)} of {len(steps)} done"
        return done + _left(self._builds_left(now_s))

    def _builds_left(self, now_s: float) -> Left | None:
        rows = list(self._rows.values())
        running = [
            build_left(row.step, now_s - row.began_s)
            for row in rows
            if row.step.state == "building"
        ]
        waiting = [build_left(row.step, 0.0) for row in rows if row.step.state == "waiting"]
        return builds_left(running, waiting, max(1, len(running)))

    def _table(self, now_s: float) -> Table:
        table = Table.grid(padding=(0, 2))
        for justify in ("left", "left", "right", "left"):
            table.add_column(justify=justify, no_wrap=True, overflow="ellipsis")
        for row in self._rows.values():
            step = row.step
            style = STYLES[step.state]
            cells = ("  " + step.token, step.state, _taken(row, now_s), _beside(row, now_s))
            table.add_row(*(Text(cell, style=style) for cell in cells))
        return table


def _taken(row: _Row, now_s: float) -> str:
    if row.step.state == "building":
        return _clock(now_s - row.began_s)
    if row.step.build_s is None:
        return ""
    return _clock(row.step.build_s) if row.step.build_s else "cached"


def _beside(row: _Row, now_s: float) -> str:
    if row.step.state == "building":
        return _left(build_left(row.step, now_s - row.began_s)).removeprefix(", ")
    return row.step.why


def _left(left: Left | None) -> str:
    if left is None:
        return ""
    return f", {'at most' if left.bound else 'about'} {_clock(left.seconds)} left"


def _clock(seconds: float) -> str:
    """Return `m:ss`, or `h:mm:ss` from an hour on."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _line(event: Step | Rounds) -> str | None:
    """Return what is printed of an event where it cannot be changed later, if anything."""
    if isinstance(event, Rounds):
        return f"measuring for {event.of} rounds" if not event.done else None
    took = f"{event.build_s:.1f} s" if event.build_s else ""
    if event.state == "building":
        left = build_left(event, 0.0)
        return f"building {event.token}" + ("" if left is None else f" ({_usual(left)})")
    if event.state == "built":
        return f"built {event.token} " + (f"in {took}" if took else "earlier, it is in the cache")
    if event.state == "failed":
        return f"{event.token} failed" + (f" after {took}" if took else "") + f": {event.why}"
    return None


def _usual(left: Left) -> str:
    return f"{'at most' if left.bound else 'usually'} {_clock(left.seconds)}"
