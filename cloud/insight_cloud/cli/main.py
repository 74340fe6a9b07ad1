# SPDX-License-Identifier: Apache-2.0
"""The program `insight-cloud`: its verbs, and what becomes of an error.

A verb's module is imported when the verb is called. Data goes to stdout, progress
and errors to stderr; a user's mistake is one line, a hint and the exit code of
its error class.
"""

import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError

from insight_cloud.cli.screen import complain
from insight_edge import __version__
from insight_edge.errors import InsightEdgeError

VERBS = {
    "up": ("insight_cloud.cli.up:up", "Run a whole cloud on this machine."),
    "train": ("insight_cloud.cli.train:train", "Train a model into the registry."),
    "demo": ("insight_cloud.cli.demo:demo", "Tell the whole story on this machine."),
    "keys": ("insight_cloud.cli.keys:app", "Make the keys that sign updates, replace them."),
    "release": ("insight_cloud.cli.release:app", "Publish bundles for devices."),
    "rollout": ("insight_cloud.cli.rollout:app", "Bring a model version to a fleet in waves."),
    "job": ("insight_cloud.cli.job:app", "Measure bundles on devices of the fleet."),
    "device": ("insight_cloud.cli.device:app", "Invite devices, list them, assign bundles."),
    "pipeline": ("insight_cloud.cli.pipeline:app", "List retraining runs, start one, cancel one."),
    "user": ("insight_cloud.cli.user:app", "Make users and tokens, change what they may do."),
    "audit": ("insight_cloud.cli.audit:audit", "List what was changed, and by whom."),
    "migrate": ("insight_cloud.cli.migrate:migrate", "Bring the database to this release."),
}
"""Every verb: where it lives, and what it does in a few words."""

USAGE_EXIT_CODE = 2
INTERRUPTED_EXIT_CODE = 130


def build_app() -> App:
    """Return the program with all its verbs, none of them imported."""
    app = App(
        name="insight-cloud",
        help="Train models, keep them, and look after the fleet.",
        version=__version__,
        suppress_keyboard_interrupt=False,
    )
    for name, (place, summary) in VERBS.items():
        app.command(place, name=name, help=summary)
    app.register_install_completion_command()
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program and exit with the code of the design (0 to 4)."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Return the exit code of one call; every expected error is a line on stderr."""
    try:
        build_app()(arguments, print_error=False, exit_on_error=False, result_action="return_value")
    except InsightEdgeError as error:
        complain(str(error), error.hint)
        return error.exit_code
    except CycloptsError as error:
        complain(str(error), "see --help")
        return USAGE_EXIT_CODE
    except KeyboardInterrupt:
        complain("interrupted", None)
        return INTERRUPTED_EXIT_CODE
    except BrokenPipeError:
        return 0
    return 0
