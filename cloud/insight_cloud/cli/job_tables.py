# SPDX-License-Identifier: Apache-2.0
"""Tables of jobs, of their devices and of what these measured. Pure."""

from collections.abc import Iterable, Sequence

from rich.markup import escape
from rich.table import Table

from insight_cloud.jobs.job import Job, Member
from insight_cloud.jobs.measurements import Spread
from insight_edge.documents.measured import Load
from insight_edge.documents.result import BenchResult

MISSING = "\u2013"
STYLES = {"VALID": "green", "NOISY": "yellow", "THROTTLED": "yellow", "INVALID": "red"}


def jobs_table(jobs: Iterable[Job]) -> Table:
    """Return jobs, a row each."""
    table = _table("Jobs", "job", "bundle", "profile", "state", "asked (UTC)", "by", "how far")
    for one in jobs:
        table.add_row(
            one.id,
            f"{one.label} {one.bundle[7:19]}",
            one.profile,
            one.state.value,
            f"{one.created:%Y-%m-%d %H:%M}",
            escape(one.by),
            escape(one.reason),
        )
    return table


def members_table(job: Job, members: Iterable[Member]) -> Table:
    """Return the devices of a job, a row each, and those that were left out."""
    title = f"Job {job.id}: {job.label} for {job.profile} is {job.state.value}; {job.reason}"
    table = _table(title, "device", "state", "told (UTC)", "accepted", "ended", "why")
    for one in members:
        moments = (one.told, one.accepted, one.ended)
        table.add_row(
            one.device,
            f"{one.state.value} {one.phase}".strip(),
            *(MISSING if at is None else f"{at:%H:%M:%S}" for at in moments),
            escape("; ".join([one.why, *_left_out(one)]).strip("; ")),
        )
    for name, why in job.left_out.items():
        table.add_row(escape(name), "not asked", *[MISSING] * 3, escape(why), style="dim")
    return table


def results_table(results: Sequence[BenchResult]) -> Table:
    """Return measurements, a row each: the fastest variant first."""
    names = ("variant", "device", "p50 ms [95 %]", "p99 ms", "load ms", "RSS MiB", "verdict")
    table = _table("What was measured", *names)
    for column in table.columns[2:6]:
        column.justify = "right"
    if any(one.measurement.load is not None for one in results):
        table.add_column("rows", overflow="fold")
    for one in sorted(results, key=lambda one: (one.measurement.p50_ms.value, one.device)):
        measured = one.measurement
        p50, p99 = measured.p50_ms, measured.percentiles_ms.get("p99")
        style = STYLES[measured.verdict]
        table.add_row(
            escape(one.variant),
            one.device,
            f"{p50.value:.4g} [dim]{escape(f'[{p50.low:.4g}, {p50.high:.4g}]')}[/]",
            MISSING if p99 is None else f"{p99:.4g}",
            f"{measured.load_ms:.4g}",
            f"{measured.peak_rss_bytes / 2**20:.0f}",
            f"[{style}]{measured.verdict}[/] {escape('; '.join(measured.reasons))}".strip(),
            *([] if measured.load is None else [_load_text(measured.load)]),
        )
    return table


def spreads_table(spreads: Iterable[Spread]) -> Table:
    """Return what devices say of each variant together, a row each."""
    title = "Devices together, of VALID measurements"
    table = _table(title, "variant", "devices", "median of p50 ms", "slowest over fastest")
    for column in table.columns[1:]:
        column.justify = "right"
    for one in spreads:
        table.add_row(
            escape(one.variant),
            str(one.devices),
            MISSING if one.p50_ms is None else f"{one.p50_ms:.4g}",
            MISSING if one.spread is None else f"+{100 * one.spread:.1f} %",
        )
    return table


def _load_text(load: Load) -> str:
    """Return what became of rows that came at a rate: `199 of 200 a second, 3 of 2000 late`."""
    held = f"{load.achieved_per_s:.4g} of {load.rate_per_s:.4g} a second"
    return held if load.misses is None else f"{held}, {load.misses} of {load.offered} late"


def _left_out(member: Member) -> list[str]:
    return [f"{name} was not timed: {why}" for name, why in member.left_out.items()]


def _table(title: str, *columns: str) -> Table:
    table = Table(title=escape(title), title_justify="left")
    for name in columns:
        table.add_column(name, overflow="fold")
    return table
