# SPDX-License-Identifier: Apache-2.0
"""Verbs `device …`: invite devices, list them, say what they should run."""

import sys
from datetime import timedelta

from cyclopts import App
from rich.table import Table

from insight_cloud.builds.profiles import known_profiles
from insight_cloud.cli.opening import State, opened, settings_of, whoever
from insight_cloud.cli.screen import Format, err, print_json, print_table
from insight_cloud.devices.device import Query
from insight_cloud.platform.clock import now
from insight_edge.documents.desired import Challenging
from insight_edge.errors import ConfigurationError

app = App(name="device", help="Invite devices, list them, say what they should run.")


@app.command
def invite(device: str | None = None, /, *, state: State = None, hours: float = 24.0) -> None:
    """Print a token that makes one device.

    Args:
        device: its name; the device chooses one without it.
        state: folder of this installation.
        hours: how long it works.
    """
    at = now()
    with opened(state) as cloud:
        token = cloud.devices.invite(
            device, by=whoever(), expires=at + timedelta(hours=hours), now=at
        )
    sys.stdout.write(token + "\n")
    err.print(f"it works once, for {hours:g} hours: insight-edge agent enroll CLOUD")


@app.command(name="list")
def list_(
    *,
    text: str = "",
    state: State = None,
    format: Format = "table",  # noqa: A002 - the flag is --format
) -> None:
    """List devices, and why each does not run what it should.

    Args:
        text: part of their names.
        state: folder of this installation.
        format: how to print.
    """
    profiles = known_profiles(settings_of(state).profiles_path)
    with opened(state) as cloud:
        page = cloud.devices.devices(Query(text=text))
        rows = [
            {
                "device": device.name,
                "profile": device.profile,
                "deployment": deployment,
                "online": device.online,
                "revision": f"{device.accepted} of {device.desired}",
                "why not": cloud.devices.not_updated_reason(
                    device.name, deployment, profile=profiles.get(device.profile)
                ),
            }
            for device in page.devices
            for deployment in device.deployments
        ]
    if format == "json":
        print_json(rows)
        return
    table = Table(title=f"{len(page.devices)} of {page.total} devices", title_justify="left")
    for name in ("device", "profile", "deployment", "online", "revision", "why not"):
        table.add_column(name)
    for row in rows:
        table.add_row(
            *(("yes" if v else "no") if isinstance(v, bool) else v or "" for v in row.values())
        )
    print_table(table)


@app.command
def assign(
    device: str, bundle: str, /, *, deployment: str = "default", state: State = None
) -> None:
    """Say which bundle a deployment should run.

    Args:
        device: its name.
        bundle: digest of a published bundle.
        deployment: its name.
        state: folder of this installation.
    """
    with opened(state) as cloud:
        revision = cloud.devices.set_desired(device, deployment, bundle, by=whoever(), now=now())
    err.print(f"{device}: revision {revision} wants {bundle[:19]} in {deployment}")


@app.command
def challenge(
    device: str,
    bundle: str,
    /,
    *,
    deployment: str = "default",
    cpu_share: float = 0.05,
    share: float = 0.0,
    salt: str = "",
    state: State = None,
) -> None:
    """Have a bundle compared, on the device, with the one that a deployment serves.

    Args:
        device: its name.
        bundle: digest of a published bundle.
        deployment: its name.
        cpu_share: of one processor, 0 to 1, that repeating calls may take.
        share: of calls with a key, 0 to 1, that it answers itself; always the same keys.
        salt: draws these keys; another one draws others.
        state: folder of this installation.
    """
    for name, found in (("--cpu-share", cpu_share), ("--share", share)):
        if not 0 <= found <= 1:
            raise ConfigurationError(f"{name} is {found}: from 0 to 1")
    wanted = Challenging(bundle=bundle, cpu_share=cpu_share, share=share, salt=salt)
    with opened(state) as cloud:
        revision = cloud.devices.set_challenger(device, deployment, wanted, by=whoever(), now=now())
    err.print(f"{device}: revision {revision} compares {bundle[:19]} in {deployment}")


@app.command
def unchallenge(device: str, /, *, deployment: str = "default", state: State = None) -> None:
    """End the comparison that `device challenge` began.

    Args:
        device: its name.
        deployment: its name.
        state: folder of this installation.
    """
    with opened(state) as cloud:
        revision = cloud.devices.set_challenger(device, deployment, None, by=whoever(), now=now())
    err.print(f"{device}: revision {revision} compares nothing in {deployment}")


@app.command
def retire(device: str, /, *, state: State = None) -> None:
    """Take a device out of the fleet for ever.

    Args:
        device: its name.
        state: folder of this installation.
    """
    with opened(state) as cloud:
        cloud.devices.retire_device(device, by=whoever(), now=now())
    err.print(f"{device}: retired; its secret is void and its name stays taken")
