# SPDX-License-Identifier: Apache-2.0
"""What the demo prints: chapters and news on the way, and the closing tables."""

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from insight_cloud.demo.figures import Accuracy, Device
from insight_cloud.demo.promises import Promise, Story

out = Console(highlight=False, width=None if sys.stdout.isatty() else 140)


class Diary:
    """Lines with the seconds since the demo began."""

    def __init__(self, started_s: float) -> None:
        self._started_s = started_s

    def say(self, line: str) -> None:
        """Print something that has just happened."""
        passed_s = time.monotonic() - self._started_s
        out.print(f"[dim]{passed_s:6.1f} s[/]  {escape(line)}")


def chapter(title: str) -> None:
    """Print the heading of a step."""
    out.rule(f"[bold]{title}", align="left")


def show(story: Story, address: str, folder: Path) -> None:
    """Print what happened on each device, and in all."""
    chapter("What came out")
    out.print(_accuracy(story.devices))
    out.print(_service(story.devices))
    out.print(_bytes(story.devices))
    out.print(
        f"{story.wall_s:.0f} s; console {address} (as admin; the first password is in "
        f"{folder / 'cloud' / 'first-password'})\n",
        soft_wrap=True,
    )


def show_kills(kills: Mapping[str, int]) -> None:
    """Print which processes were killed, and how often."""
    out.print("kill -9: " + (", ".join(f"{n} {kills[n]}" for n in sorted(kills)) or "none"))


def show_promises(promises: Sequence[Promise]) -> None:
    """Print every promise, whether it was kept, and the figure."""
    table = Table(title="Promises", title_justify="left")
    table.add_column("")
    table.add_column("promise")
    table.add_column("figure", justify="right")
    for promise in promises:
        mark = "[green]kept[/]" if promise.kept else "[bold red]BROKEN[/]"
        table.add_row(mark, promise.name, promise.figure)
    out.print(table)


def show_stay(address: str, folder: Path) -> None:
    """Say what goes on running, and how it is ended."""
    out.print(
        f"Everything goes on running. Console: {address}, as admin with the password in "
        f"{folder / 'cloud' / 'first-password'}. End it all with: pkill -f {folder}",
        soft_wrap=True,
    )


def _accuracy(devices: Sequence[Device]) -> Table:
    table = Table(
        title="Accuracy on the final split, which nobody ever labelled", title_justify="left"
    )
    for name in ("device", "machine"):
        table.add_column(name)
    for name in ("before", "under the shift", "after", "windows to the alarm", "alarms before"):
        table.add_column(name, justify="right")
    for one in devices:
        waited = "-" if one.windows_to_alarm is None else str(one.windows_to_alarm)
        table.add_row(
            one.name, one.profile, _share(one.before), _share(one.under), _share(one.after),
            waited, str(one.early_alarms),
        )  # fmt: skip
    return table


def _service(devices: Sequence[Device]) -> Table:
    table = Table(title="Service, as the applications saw it", title_justify="left")
    table.add_column("device")
    for name in (
        "asked",
        "answered",
        "dropped",
        "mixed",
        "in the swap",
        "p50 ms",
        "p99 ms",
        "max ms",
    ):
        table.add_column(name, justify="right")
    for one in devices:
        swap = one.swap
        table.add_row(
            one.name, str(one.asked), str(one.answered), str(one.asked - one.answered),
            str(one.mixed), str(swap.answers),
            f"{swap.p50_ms:.2f}", f"{swap.p99_ms:.2f}", f"{swap.max_ms:.2f}",
        )  # fmt: skip
    return table


def _bytes(devices: Sequence[Device]) -> Table:
    table = Table(title="Over the network", title_justify="left")
    table.add_column("device")
    for name in ("bundle kB", "fetched kB", "reports", "bytes a report", "lost", "doubled"):
        table.add_column(name, justify="right")
    for one in devices:
        table.add_row(
            one.name, _kilobytes(one.bundle_bytes), _kilobytes(one.fetched_bytes),
            str(one.reports), f"{one.report_bytes:.0f}", str(one.lost),
            str(max(0, one.reported - one.asked)),
        )  # fmt: skip
    return table


def _share(accuracy: Accuracy) -> str:
    if not accuracy.total:
        return "-"
    low, high = accuracy.interval
    return f"{accuracy.share:.1%} [{low:.1%}, {high:.1%}]"


def _kilobytes(length_bytes: int | None) -> str:
    return "-" if length_bytes is None else f"{length_bytes / 1000:.1f}"
