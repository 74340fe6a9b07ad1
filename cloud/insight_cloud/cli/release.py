# SPDX-License-Identifier: Apache-2.0
"""Verbs `release …`: publish bundles for devices, approve, revoke, list them."""

import sys
from pathlib import Path

from cyclopts import App
from rich.table import Table

from insight_cloud.cli.opening import State, opened, whoever
from insight_cloud.cli.screen import Format, err, print_json, print_table
from insight_cloud.platform.clock import now
from insight_cloud.releases.rules import Mode

app = App(name="release", help="Publish bundles for devices, approve, revoke, list them.")


@app.command
def publish(bundle: Path, /, *, state: State = None) -> None:
    """Sign a bundle and offer it to the devices of its profile.

    Args:
        bundle: its directory.
        state: folder of this installation.
    """
    with opened(state) as cloud:
        made = cloud.releases.publish(bundle, by=whoever(), now=now())
    err.print(f"{made.model}:{made.version} for {made.profile}: {made.state.value}")
    sys.stdout.write(made.bundle + "\n")


@app.command
def approve(bundle: str, /, *, state: State = None) -> None:
    """Offer a bundle that waits for a person.

    Args:
        bundle: its digest.
        state: folder of this installation.
    """
    with opened(state) as cloud:
        cloud.releases.approve(bundle, by=whoever(), now=now())
    err.print(f"{bundle}: listed")


@app.command
def revoke(bundle: str, /, *, state: State = None) -> None:
    """Let no device install a bundle any more; those that serve it go on.

    Args:
        bundle: its digest.
        state: folder of this installation.
    """
    with opened(state) as cloud:
        cloud.releases.revoke(bundle, by=whoever(), now=now())
    err.print(f"{bundle}: revoked")


@app.command
def policy(model: str, mode: Mode, /, *, state: State = None) -> None:
    """Say who decides that new bundles of a model are offered.

    Args:
        model: its name.
        mode: `auto`, or `human` who approves each.
        state: folder of this installation.
    """
    with opened(state) as cloud:
        cloud.releases.set_policy(model, mode, by=whoever(), now=now())
    err.print(f"{model}: {mode.value}")


@app.command(name="list")
def list_(*, state: State = None, format: Format = "table") -> None:  # noqa: A002 - the flag is --format
    """List the bundles that were published.

    Args:
        state: folder of this installation.
        format: how to print.
    """
    with opened(state) as cloud:
        found = cloud.releases.releases()
    if format == "json":
        print_json(found)
        return
    table = Table(title="Releases", title_justify="left")
    for name in ("bundle", "model", "profile", "state", "decided by"):
        table.add_column(name)
    for one in found:
        label = f"{one.model}:{one.version}"
        table.add_row(one.bundle, label, one.profile, one.state.value, one.decided_by or "")
    print_table(table)
