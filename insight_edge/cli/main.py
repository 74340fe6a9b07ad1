# SPDX-License-Identifier: Apache-2.0
"""The program `insight-edge`: its verbs, and what becomes of an error.

A verb's module is imported when the verb is called, so `--help` works on a
device that has no engine and no compiler. A user's mistake is one line and a
hint on stderr with the exit code of its error class; data alone goes to stdout.
"""

import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError, Parameter

from insight_edge import __version__
from insight_edge.cli.screen import complain
from insight_edge.errors import InsightEdgeError

VERBS = {
    "profiles": ("insight_edge.cli.profiles:app", "List, show, detect and check hardware."),
    "toolchain": ("insight_edge.cli.toolchain:app", "Install the environments of engines."),
    "check": ("insight_edge.cli.check:check", "Say what a model asks, and what can be built."),
    "predict": ("insight_edge.cli.predict:predict", "Predict latency on hardware not here."),
    "select": ("insight_edge.cli.select:select", "Choose a device, and say what it costs."),
    "compile": ("insight_edge.cli.compile:compile_", "Build, prove, measure, ship the best."),
    "inspect": ("insight_edge.cli.inspect:inspect_", "Show a bundle and its trials."),
    "verify": ("insight_edge.cli.verify:verify", "Ask a bundle for its golden samples."),
    "run": ("insight_edge.cli.run:run", "Put arrays, or a source of rows, through a bundle."),
    "serve": ("insight_edge.cli.serve:serve", "Answer over HTTP, for programs in any language."),
    "bench": ("insight_edge.cli.bench:bench", "Measure bundles, with a verdict."),
    "agent": ("insight_edge.cli.agent:app", "Make this machine a device of a fleet."),
    "compare": ("insight_edge.cli.compare:compare", "Say which of several bundles is faster."),
}
"""Every verb: where it lives, and what it does in a few words."""

EXIT_CODES = (
    "Exit codes: 0 ok; 1 a gate failed, or no trial survived; 2 bad input, configuration or a "
    "full disk; 3 the measurement is not valid; 4 a toolchain is missing."
)
USAGE_EXIT_CODE = 2
INTERRUPTED_EXIT_CODE = 130


def build_app() -> App:
    """Return the program with all its verbs, none of them imported."""
    app = App(
        name="insight-edge",
        help="Compile a model for each device, prove it, run it, and swap it.",
        version=__version__,
        suppress_keyboard_interrupt=False,
        default_parameter=Parameter(negative_iterable=()),
        help_epilogue=EXIT_CODES,
    )
    for name, (place, summary) in VERBS.items():
        app.command(place, name=name, help=summary)
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


if __name__ == "__main__":
    main()
