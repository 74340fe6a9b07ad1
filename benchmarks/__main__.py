# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks [NAME ...] [--json]`: take figures and print them.

Exit codes: 0 every bar is kept; 1 one is exceeded, its whole interval above it;
3 one is in doubt, its interval on both sides of it, or a measurement is not
valid; 2 and 4 as `insight-edge`.
"""

import argparse
import sys

from benchmarks.figure import exit_code
from benchmarks.screen import complain, emit, err, show
from benchmarks.session import BENCHMARKS, SHORT, take
from insight_edge.errors import InsightEdgeError


def main(arguments: list[str]) -> int:
    """Return the exit code."""
    options = _options(arguments)
    try:
        with err.status("starting") as status:
            session = take(options.names or SHORT, status.update)
    except InsightEdgeError as error:
        complain(str(error), error.hint)
        return error.exit_code
    (emit if options.json else show)(session)
    return exit_code(session.figures)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    known = ", ".join(BENCHMARKS)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"{known}; compile, compare and serving only by name",
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    options = parser.parse_args(arguments)
    for name in options.names:
        if name not in BENCHMARKS:
            parser.error(f"no benchmark is called '{name}'; there are {known}")
    return options


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
