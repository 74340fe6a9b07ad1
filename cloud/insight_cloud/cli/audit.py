# SPDX-License-Identifier: Apache-2.0
"""Verb `audit`: what was changed, and by whom."""

from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.table import Table

from insight_cloud.accounts.audit import Trail
from insight_cloud.cli.opening import State, opened
from insight_cloud.cli.screen import Format, print_json, print_table


def audit(
    *,
    by: str | None = None,
    subject: str | None = None,
    action: str | None = None,
    limit: Annotated[int, Parameter(validator=Number(gte=1, lte=1000))] = 50,
    state: State = None,
    format: Format = "table",  # noqa: A002 - the flag is --format
) -> None:
    """List what was changed, the newest first.

    Args:
        by: only what this one did.
        subject: only what was done to this.
        action: only actions that begin so, e.g. `rollout`.
        limit: how many rows at most.
        state: folder of this installation.
        format: how to print.
    """
    with opened(state) as cloud:
        trail = Trail(by=by, subject=subject, action=action)
        entries = cloud.accounts.audit(trail, limit=limit)
    if format == "json":
        print_json(entries)
        return
    table = Table(title=f"{len(entries)} changes", title_justify="left")
    for name in ("when", "by", "action", "subject", "detail"):
        table.add_column(name, overflow="fold")
    for entry in entries:
        when = entry.at.isoformat(" ", "seconds")
        table.add_row(when, entry.by, entry.action, entry.subject, entry.detail)
    print_table(table)
