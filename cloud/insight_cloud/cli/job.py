# SPDX-License-Identifier: Apache-2.0
"""Verbs `job …`: have devices time a bundle, watch them, take it back, keep what they measured."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter
from rich.markup import escape

from insight_cloud.cli.job_tables import jobs_table, members_table, results_table, spreads_table
from insight_cloud.cli.opening import State, opened, whoever
from insight_cloud.cli.screen import Format, err, print_json, print_table
from insight_cloud.cli.spelling import model_version, seconds
from insight_cloud.cli.waiting import wait_for
from insight_cloud.devices.selection import Selection, spelled
from insight_cloud.installation import Installation
from insight_cloud.jobs.job import Job, Terms
from insight_cloud.jobs.measurements import spreads
from insight_cloud.jobs.rules import AT_MOST
from insight_cloud.platform.clock import now
from insight_cloud.platform.errors import JobError
from insight_edge.bundle.durable import replace_file
from insight_edge.errors import MeasurementError

app = App(name="job", help="Measure bundles on devices of the fleet.")

DEFAULT = Terms()
Scenario = Literal["single-stream", "multi-stream", "offline", "server", "sensor"]
Named = Annotated[list[str] | None, Parameter(negative=())]


@app.command
def bench(
    what: str,
    /,
    *,
    on: Named = None,
    devices: int | None = None,
    variant: Named = None,
    rounds: int = DEFAULT.rounds,
    iterations: int | None = None,
    threads: int | None = None,
    seed: int = DEFAULT.seed,
    scenario: Scenario = "single-stream",
    streams: int | None = None,
    rate: float | None = None,
    period: float | None = None,
    deadline: float | None = None,
    duration: str | None = None,
    limit: str = "15m",
    expires: str = "24h",
    when: Literal["idle", "now"] = DEFAULT.when,
    wait: bool = False,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    strict: bool = False,
    state: State = None,
    format: Format = "table",  # noqa: A002 - the flag is --format
) -> None:
    """Have devices time the variants of a bundle, and print the job's id, or what they measured.

    Exits with 1 where no device could, with 3 where --strict and a measurement is not VALID.

    Args:
        what: digest of a published bundle, or MODEL:VERSION.
        on: a device, profile:ID, text:PART of their names, or all; repeat it. The bundle's profile
            by default.
        devices: asked at most; all that are named, 3 of a group by default.
        variant: only these; repeat it.
        rounds: in each of which every variant is timed once.
        iterations: of each variant; rounds of a fixed duration by default.
        threads: of the engine; as many as the agent may use by default.
        seed: of the order within rounds.
        scenario: as of `insight-edge bench`: single-stream, multi-stream, offline, server, sensor.
        streams: rows at a time, of multi-stream and offline.
        rate: rows a second, of a server.
        period: milliseconds between rows, of a sensor.
        deadline: milliseconds from when a row comes, of a server or sensor.
        duration: that each variant is timed, all rounds together (s, m, h).
        limit: the longest that it may run on a device (s, m, h, d).
        expires: it is begun on no device later than that.
        when: `idle` waits until a device has little to do; `now` for updates alone.
        wait: until every device has said its last word.
        output: file for the results, a line each; waits for them.
        strict: a measurement that is not VALID is a failure.
        state: folder of this installation.
        format: how to print.
    """
    terms = Terms(
        variants=tuple(variant or ()),
        threads=threads,
        rounds=rounds,
        iterations=iterations,
        seed=seed,
        limit_s=seconds(limit),
        lifetime_s=seconds(expires),
        when=when,
        devices=devices,
        scenario=scenario,
        streams=streams,
        rate_per_s=rate,
        period_ms=period,
        deadline_ms=deadline,
        duration_s=None if duration is None else seconds(duration),
    )
    meant = None if on is None else spelled(on)
    with opened(state) as cloud:
        job = cloud.jobs.bench(
            _bundle(cloud, what, meant), by=whoever(), now=now(), selection=meant, terms=terms
        )
        _tell(cloud, job)
        if not (wait or output):
            sys.stdout.write(f"{job.id}\n")
            return
        wait_for(cloud.jobs, job.id)
        _finish(cloud, job.id, output, format, strict=strict)


@app.command(name="list")
def list_(*, active: bool = False, state: State = None, format: Format = "table") -> None:  # noqa: A002 - the flag is --format
    """List jobs, the newest first.

    Args:
        active: only those that go on.
        state: folder of this installation.
        format: how to print.
    """
    with opened(state) as cloud:
        found = cloud.jobs.list(active=True if active else None)
    if format == "json":
        print_json(found)
    else:
        print_table(jobs_table(found))


@app.command
def show(job: str, /, *, state: State = None, format: Format = "table") -> None:  # noqa: A002 - the flag is --format
    """Show a job, its devices, and what they measured.

    Args:
        job: its id.
        state: folder of this installation.
        format: how to print.
    """
    with opened(state) as cloud:
        found, members = cloud.jobs.get(job), cloud.jobs.members(job)
        results = cloud.jobs.figures(job)
    together = spreads(results)
    if format == "json":
        print_json({"job": found, "devices": members, "spreads": together})
        return
    print_table(members_table(found, members))
    if results:
        print_table(results_table(results))
        print_table(spreads_table(together))


@app.command
def results(
    job: str,
    /,
    *,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    strict: bool = False,
    state: State = None,
    format: Format = "table",  # noqa: A002 - the flag is --format
) -> None:
    """Print what devices measured so far, or write it to a file, a line each.

    Args:
        job: its id.
        output: file for the results.
        strict: a measurement that is not VALID is a failure.
        state: folder of this installation.
        format: how to print; `json` prints the lines of the file.
    """
    with opened(state) as cloud:
        _finish(cloud, job, output, format, strict=strict)


@app.command
def withdraw(job: str, /, *, reason: str = "", state: State = None) -> None:
    """Take a job back; devices that were told are told to stop.

    Args:
        job: its id.
        reason: why.
        state: folder of this installation.
    """
    with opened(state) as cloud:
        after = cloud.jobs.withdraw(job, by=whoever(), now=now(), reason=reason)
    err.print(escape(f"job {after.id}: {after.state.value}; {after.reason}"))


def _bundle(cloud: Installation, what: str, meant: Selection | None) -> str:
    if what.startswith("sha256:"):
        return what
    return cloud.jobs.bundle_of(*model_version(what), meant)


def _tell(cloud: Installation, job: Job) -> None:
    """Say which devices are asked, and why others are not."""
    for name, why in job.left_out.items():
        err.print(escape(f"{name}: {why}"))
    names = ", ".join(one.device for one in cloud.jobs.members(job.id))
    err.print(f"job {job.id}: {job.label} for {job.profile} on {names}")
    if job.spare:
        most = f"--devices asks more than {job.terms.devices or AT_MOST}"
        err.print(f"[dim]{job.spare} more could be asked; {most}[/]")


def _finish(
    cloud: Installation, id_: str, output: Path | None, printed: Format, *, strict: bool
) -> None:
    """Write or print what was measured.

    Raises:
        JobError: the job is over and there is nothing.
        MeasurementError: a measurement is not VALID, and that is strictly asked for.
        StorageError: the file cannot be written.
    """
    job, kept = cloud.jobs.get(id_), cloud.jobs.measured(id_)
    lines = "".join(f"{one.document}\n" for one in kept)
    found = [one.result for one in kept]
    if output is not None:
        replace_file(output, lines.encode())
        err.print(escape(f"{len(found)} results in {output}"))
    elif printed == "json":
        sys.stdout.write(lines)
    if printed == "table" and found:
        print_table(results_table(found))
        print_table(spreads_table(spreads(found)))
    if not found:
        raise JobError(f"nothing was measured: {job.reason}", hint=f"insight-cloud job show {id_}")
    bad = [one for one in found if one.measurement.verdict != "VALID"]
    if strict and bad:
        worst = bad[0]
        why = "; ".join(worst.measurement.reasons)
        raise MeasurementError(
            f"{len(bad)} of {len(found)} measurements are not VALID: {worst.variant} on "
            f"{worst.device} is {worst.measurement.verdict}: {why}",
            hint="a quieter device (--when idle), more rounds",
        )
