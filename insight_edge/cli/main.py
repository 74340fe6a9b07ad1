# SPDX-License-Identifier: Apache-2.0
"""The program `insight-edge`: its verbs, and what becomes of an error.

A verb's module is imported when the verb is called, so `--help` works on a
device that has no engine and no compiler. A user's mistake is one line and a
hint on stderr with the exit code of its error class; data alone goes to stdout.
"""

import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError

from insight_edge import __version__
from insight_edge.cli.screen import complain
from insight_edge.errors import InsightEdgeError

VERBS = {
    "profiles": "insight_edge.cli.profiles:app",
    "toolchain": "insight_edge.cli.toolchain:app",
    "check": "insight_edge.cli.check:check",
    "compile": "insight_edge.cli.compile:compile_",
    "inspect": "insight_edge.cli.inspect:inspect_",
    "verify": "insight_edge.cli.verify:verify",
    "run": "insight_edge.cli.run:run",
    "bench": "insight_edge.cli.bench:bench",
    "compare": "insight_edge.cli.compare:compare",
}
"""Every verb and where it lives."""

USAGE_EXIT_CODE = 2
INTERRUPTED_EXIT_CODE = 130


def build_app() -> App:
    """Return the program with all its verbs, none of them imported."""
    app = App(
        name="insight-edge",
        help="Compile a model for each device, prove it, run it, and swap it.",
        version=__version__,
        suppress_keyboard_interrupt=False,
    )
    for name, place in VERBS.items():
        app.command(place, name=name)
    app.register_install_completion_command()
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program and exit with the code of the design (0 to 4)."""
    sys.exit(run(build_app(), arguments))


def run(app: App, arguments: Sequence[str] | None = None) -> int:
    """Return the exit code of one call; every expected error is a line on stderr."""
    try:
        app(
            arguments,
            print_error=False,
            exit_on_error=False,
            result_action="return_value",
        )
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
