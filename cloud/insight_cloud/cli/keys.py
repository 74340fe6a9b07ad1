# SPDX-License-Identifier: Apache-2.0
"""Verbs `keys …`: make the keys that sign updates, and replace them."""

from cyclopts import App

from insight_cloud.cli.opening import State, opened, settings_of, whoever
from insight_cloud.cli.screen import err
from insight_cloud.platform.clock import now
from insight_cloud.releases.keys import MAX_ROOTS, init_keys
from insight_cloud.releases.rules import Rotation
from insight_edge.errors import ConfigurationError

app = App(name="keys", help="Make the keys that sign updates, and replace them.")


@app.command
def init(*, state: State = None, roots: int = 1) -> None:
    """Make all keys of a new installation, and the update repository they sign.

    Root and targets keys are offline keys: take them away from this machine afterwards, and
    bring them back for what needs them.

    Args:
        state: folder of this installation.
        roots: root keys, each for another person to keep; all of them must sign.
    """
    if not 1 <= roots <= MAX_ROOTS:
        raise ConfigurationError(f"{roots} root keys: 1 to {MAX_ROOTS} can be made")
    folder = settings_of(state).keys_path
    init_keys(folder, roots=roots)
    with opened(state) as cloud:
        cloud.releases.renew(now=now())
    err.print(f"keys are in {folder}, readable by their owner alone")
    offline = [*(f"root-{number}.pem" for number in range(1, roots + 1)), "targets.pem"]
    err.print(f"take away and keep safe: {', '.join(offline)}")


@app.command
def rotate(which: Rotation, /, *, state: State = None) -> None:
    """Replace keys by new ones; the old ones stop counting.

    Args:
        which: keys to replace.
        state: folder of this installation.
    """
    with opened(state) as cloud:
        cloud.releases.rotate(which, by=whoever(), now=now())
    err.print(f"{which.value}: replaced; devices follow when they look next")


@app.command
def renew(*, state: State = None) -> None:
    """Sign again what is past half of its life; `up` does it by itself.

    Args:
        state: folder of this installation.
    """
    with opened(state) as cloud:
        waiting = cloud.releases.renew(now=now())
    for role in waiting:
        err.print(f"{role} should be signed again, for which an offline key has to be brought")
