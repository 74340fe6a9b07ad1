# SPDX-License-Identifier: Apache-2.0
"""Verbs `user …`: who may sign in, what they may do, and the tokens of programs."""

import getpass
import sys
from datetime import timedelta
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number
from rich.table import Table

from insight_cloud.accounts.rules import MAX_PASSWORD, Role
from insight_cloud.cli.opening import State, opened, whoever
from insight_cloud.cli.screen import Format, err, print_json, print_table
from insight_cloud.platform.clock import now
from insight_edge.errors import ConfigurationError

app = App(name="user", help="Make users and tokens, change what they may do.")


@app.command
def add(name: str, /, *, role: Role = Role.OPERATOR, state: State = None) -> None:
    """Make a user; the password is asked for, or read from standard input.

    Args:
        name: of the user.
        role: what they may do: viewer, operator or admin.
        state: folder of this installation.
    """
    with opened(state) as cloud:
        cloud.accounts.create_user(name, _password(), role, by=whoever(), now=now())
    err.print(f"{name} may sign in as {role}")


@app.command(name="list")
def list_(*, state: State = None, format: Format = "table") -> None:  # noqa: A002 - the flag is --format
    """List all users.

    Args:
        state: folder of this installation.
        format: how to print.
    """
    with opened(state) as cloud:
        users = cloud.accounts.users()
    if format == "json":
        print_json(users)
        return
    table = Table(title=f"{len(users)} users", title_justify="left")
    for title in ("name", "role", "since", "disabled"):
        table.add_column(title)
    for user in users:
        disabled = "" if user.disabled is None else f"{user.disabled:%Y-%m-%d %H:%M}"
        table.add_row(user.name, user.role, f"{user.created:%Y-%m-%d %H:%M}", disabled)
    print_table(table)


@app.command
def password(name: str, /, *, state: State = None) -> None:
    """Replace a user's password; it is asked for, or read from standard input.

    Args:
        name: of the user.
        state: folder of this installation.
    """
    with opened(state) as cloud:
        cloud.accounts.set_password(name, _password(), by=whoever(), now=now())
    err.print(f"{name} has a new password, and is signed out everywhere")


@app.command
def role(name: str, role: Role, /, *, state: State = None) -> None:
    """Let a user do more or less.

    Args:
        name: of the user.
        role: viewer, operator or admin.
        state: folder of this installation.
    """
    with opened(state) as cloud:
        cloud.accounts.set_role(name, role, by=whoever(), now=now())
    err.print(f"{name} is {role} now")


@app.command
def disable(name: str, /, *, state: State = None) -> None:
    """Let nothing of a user count any more.

    Args:
        name: of the user.
        state: folder of this installation.
    """
    with opened(state) as cloud:
        cloud.accounts.disable_user(name, by=whoever(), now=now())
    err.print(f"{name} is disabled, and signed out everywhere")


@app.command
def enable(name: str, /, *, state: State = None) -> None:
    """Let a user sign in again.

    Args:
        name: of the user.
        state: folder of this installation.
    """
    with opened(state) as cloud:
        cloud.accounts.enable_user(name, by=whoever(), now=now())
    err.print(f"{name} may sign in again")


@app.command
def token(
    name: str,
    /,
    *,
    user: str = "admin",
    role: Role = Role.OPERATOR,
    days: Annotated[float | None, Parameter(validator=Number(gt=0, lte=3650))] = None,
    state: State = None,
) -> None:
    """Make a token for a program, and print it; it is shown once.

    Args:
        name: what it is for.
        user: whose it is; it never does more than they may.
        role: viewer, operator or admin.
        days: until it expires; never without it.
        state: folder of this installation.
    """
    at = now()
    expires = None if days is None else at + timedelta(days=days)
    with opened(state) as cloud:
        made = cloud.accounts.issue_token(user, name, role, by=whoever(), now=at, expires=expires)
    sys.stdout.write(made.secret + "\n")


def _password() -> str:
    if sys.stdin.isatty():
        return getpass.getpass("password: ", stream=sys.stderr)
    text = sys.stdin.readline(MAX_PASSWORD + 2).rstrip("\n")
    if not text:
        raise ConfigurationError("the password is empty", hint="give it on standard input")
    return text
