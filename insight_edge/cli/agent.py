# SPDX-License-Identifier: Apache-2.0
"""Verbs `agent …`: make this machine a device of a fleet, and look after it.

`fleet` does the work; here are flags, signals and what a person sees.
"""

import getpass
import logging
import shutil
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.markup import escape

from insight_edge.bundle.durable import replace_file, storing
from insight_edge.cli.agent_facts import facts_from_child
from insight_edge.cli.screen import Format, emit, err
from insight_edge.documents.codec import decode_json
from insight_edge.documents.device import DeploymentState, Reported
from insight_edge.documents.enrolment import EnrolmentRequest
from insight_edge.documents.job import JobState
from insight_edge.errors import ConfigurationError, DocumentError, StorageError
from insight_edge.fleet.agent import HELD, Agent
from insight_edge.fleet.attendant import Rhythm
from insight_edge.fleet.enrol import enrol
from insight_edge.fleet.identity import deployment_dir, identity_of, keep_identity
from insight_edge.fleet.jobs.agenda import NO_JOBS
from insight_edge.fleet.serving.plan import write_plan
from insight_edge.fleet.telling import ALIVE_S, STATUS
from insight_edge.fleet.unit import NAME, unit_text
from insight_edge.fleet.update.policy import Policy

app = App(name="agent", help="Make this machine a device of a fleet, and look after it.")

STATE = Path("/var/lib/insight-edge")
MAX_TOKEN_BYTES = 4096
PORT = 8000
"""What `insight-edge serve` listens on by itself."""

UNITS = Path("/etc/systemd/system")

State = Annotated[Path, Parameter(name=["--state"], env_var="INSIGHT_EDGE_STATE")]


@app.command
def enroll(
    cloud: str,
    /,
    *,
    token_file: Path | None = None,
    device: str | None = None,
    profile: str | None = None,
    deployment: Annotated[tuple[str, ...], Parameter(negative=())] = ("default",),
    ca: Path | None = None,
    state: State = STATE,
) -> None:
    """Enrol this machine with the token of an invitation.

    Args:
        cloud: base address of the cloud.
        token_file: file with the token; standard input without it, so that it is in no history.
        device: name to ask for; the invitation may name another.
        profile: hardware profile to ask for; the cloud picks one by the facts without it.
        deployment: a name that an application will attach under; repeatable.
        ca: file of the certificates that may sign the cloud's; the system's without it.
        state: directory of the agent.
    """
    if (state / "identity.json").exists():
        raise ConfigurationError(
            f"{state}: this machine is {identity_of(state).device} already",
            hint="choose another --state for a second device",
        )
    request = EnrolmentRequest(
        token=_token(token_file),
        device=device,
        profile=profile,
        deployments=deployment,
        facts=facts_from_child(),
    )
    identity = enrol(cloud, request, ca=None if ca is None else str(ca))
    keep_identity(state, identity)
    err.print(f"this machine is '{identity.device}', profile {identity.profile}")
    for name in identity.deployments:
        err.print(f"  Runtime.attach('{deployment_dir(state, name)}')")


@app.command
def run(
    *,
    state: State = STATE,
    window_s: float = 60.0,
    probation_s: float = 600.0,
    p99_factor: float = 2.0,
    verbose: bool = False,
) -> None:
    """Run the agent until it is stopped (SIGTERM, Ctrl-C).

    Args:
        state: directory of the agent.
        window_s: length of a window of telemetry.
        probation_s: how long a new bundle serves before it is committed.
        p99_factor: a new bundle whose p99 stays over so many times the old one's is given up.
        verbose: say more.
    """
    if window_s <= 0 or probation_s < 0:
        raise ConfigurationError("a window is longer than 0 s, and a probation not negative")
    if not p99_factor >= 1:
        raise ConfigurationError(
            f"a p99 of {p99_factor:g} times the old bundle's cannot be asked for", hint="1 or more"
        )
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    agent = Agent(
        state,
        facts_from_child(),
        policy=Policy(probation_s=probation_s, p99_factor=p99_factor),
        rhythm=Rhythm(window_s=window_s),
    )
    agent.run(stop)


@app.command
def status(*, state: State = STATE, format: Format = "table") -> None:  # noqa: A002 - the flag is --format
    """Show how this device stands.

    Args:
        state: directory of the agent.
        format: how to print.
    """
    identity = identity_of(state)
    try:
        found = decode_json(Reported, (state / STATUS).read_bytes())
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"{state}: the agent of {identity.device} has not run yet",
            hint="insight-edge agent run, or agent install",
        ) from error
    except (OSError, DocumentError) as error:
        raise ConfigurationError(f"{state / STATUS}: {error}") from error
    age_s = time.time() - (state / STATUS).stat().st_mtime
    running = "runs" if age_s < ALIVE_S else f"has said nothing for {age_s:.0f} s"
    held = ", updates and jobs are held" if found.held else ""
    title = (
        f"{identity.device} ({identity.profile}), revision {found.revision}: agent {running}{held}"
    )
    rows = [_row(name, one) for name, one in found.deployments.items()]
    emit(rows, format, title=title, document=found)
    if format == "table":
        _show_jobs(found.jobs, refused=(state / NO_JOBS).exists())
    if found.refusal is not None and format == "table":
        err.print(f"refused: {found.refusal.kind}: {found.refusal.reason}")


@app.command
def hold(
    *,
    state: State = STATE,
    jobs: Annotated[bool, Parameter(negative=())] = False,
    release: bool = False,
) -> None:
    """Let no update and no job begin on this device, or let them begin again.

    An update that has begun is finished; what serves goes on serving. A job that is under way
    is broken off, and begun anew afterwards.

    Args:
        state: directory of the agent.
        jobs: refuse jobs for good instead, and leave updates alone; the cloud is told so.
        release: the other way round.
    """
    identity_of(state)
    mark = state / (NO_JOBS if jobs else HELD)
    if release:
        with storing(mark):
            mark.unlink(missing_ok=True)
    else:
        replace_file(mark, b"")
    what, held = ("jobs", "refused") if jobs else ("updates", "held")
    err.print(f"{what} may begin" if release else f"{what} are {held}")


@app.command
def serve(
    deployment: str = "default",
    /,
    *,
    state: State = STATE,
    host: str | None = None,
    port: int | None = None,
    socket: Path | None = None,
    certificate: Path | None = None,
    key: Path | None = None,
    token_file: Path | None = None,
    name: str | None = None,
    threads: int | None = None,
    child: Annotated[bool, Parameter(negative=())] = False,
    child_memory_mb: int | None = None,
    off: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Let the agent keep `insight-edge serve` running for a deployment, or no longer.

    It goes on where the agent ends, and the next agent looks after it. An application that
    attaches to the deployment goes first.

    Args:
        deployment: name that this machine was enrolled with.
        state: directory of the agent.
        host: address to listen on; any but loopback needs --certificate, --key, --token-file.
        port: to listen on, 8000 by default.
        socket: path of a Unix socket to listen on, instead of a port.
        certificate: PEM file of the server's certificate.
        key: PEM file of its key.
        token_file: file with a token that clients have to show.
        name: what clients call the model; the name in its manifest by default.
        threads: of the engine for a call.
        child: run the engine in a process of its own.
        child_memory_mb: the most MiB of that process's own memory; implies --child.
        off: serve it no longer.
    """
    # What looks into certificates, a running agent does without.
    from insight_edge.cli.agent_serve import plan_of

    known = identity_of(state).deployments
    if deployment not in known:
        raise ConfigurationError(
            f"this machine has no deployment '{deployment}'", hint=f"it has {', '.join(known)}"
        )
    place = deployment_dir(state, deployment)
    if off:
        write_plan(place, None)
        err.print(f"{deployment}: the agent ends its server")
        return
    plan = plan_of(
        host=host, port=port, socket=socket, certificate=certificate, key=key,
        token_file=token_file, name=name, threads=threads, child=child,
        child_memory_mb=child_memory_mb,
    )  # fmt: skip
    write_plan(place, plan)
    where = escape(str(socket or f"port {port or PORT}"))
    err.print(f"{deployment}: the agent keeps a server on {where}", soft_wrap=True)


@app.command
def doctor(*, state: State = STATE, format: Format = "table") -> None:  # noqa: A002 - the flag is --format
    """Say what is wrong with this device, and what to do about it; exit 1 where something is.

    It changes nothing, and works beside a running agent and without one.

    Args:
        state: directory of the agent.
        format: how to print.
    """
    # Of what it imports, a running agent needs nothing.
    from insight_edge.cli.agent_doctor import show

    show(state, format)


@app.command
def install(
    *,
    state: State = STATE,
    user: str | None = None,
    print_: Annotated[bool, Parameter(name="--print")] = False,
) -> None:
    """Install the agent as a systemd service.

    Args:
        state: directory of the agent.
        user: that it runs as; this one by default.
        print_: show the unit and change nothing.
    """
    program = Path(shutil.which("insight-edge") or sys.argv[0]).absolute()
    text = unit_text(program, state.absolute(), user or getpass.getuser())
    if print_:
        sys.stdout.write(text)
        return
    identity_of(state)
    if not UNITS.is_dir():
        raise ConfigurationError(
            f"{UNITS}: systemd is not here", hint="use --print, and run it as this machine does"
        )
    replace_file(UNITS / NAME, text.encode())
    err.print(f"{UNITS / NAME} is written; now: systemctl enable --now {NAME}")


def _token(file: Path | None) -> str:
    try:
        if file is None:
            text = sys.stdin.read(MAX_TOKEN_BYTES)
        else:
            with file.open(encoding="utf-8") as opened:
                text = opened.read(MAX_TOKEN_BYTES)
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(f"{file}: the token cannot be read: {error}") from error
    if not text.strip():
        raise ConfigurationError("the token is empty", hint="insight-cloud device invite makes one")
    return text.strip()


def _row(name: str, state: DeploymentState) -> dict[str, str]:
    waiting = state.phase == "activating" and not state.attached
    doing = "waiting for an application to activate" if waiting else state.phase
    target = "" if state.target is None else f"{doing} {_short(state.target)}"
    refused = "" if state.refusal is None else f"{state.refusal.kind}: {state.refusal.reason}"
    return {
        "deployment": name,
        "host": "attached" if state.attached else "away",
        "serving": _short(state.serving),
        "committed": _short(state.committed),
        "update": target or "none",
        "refused": refused,
    }


def _show_jobs(jobs: Sequence[JobState], *, refused: bool) -> None:
    for job in jobs:
        err.print(escape(f"job {job.id}: {job.phase}{job.why and f', {job.why}'}"), soft_wrap=True)
    if refused:
        err.print("jobs are refused")


def _short(bundle: str | None) -> str:
    return "-" if bundle is None else bundle.removeprefix("sha256:")[:12]
