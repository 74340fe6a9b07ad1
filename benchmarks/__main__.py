# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks [NAME ...] [--json]`: take figures and print them.

Exit codes: 0 every bar is kept; 1 one is exceeded, its whole interval above it;
3 one is in doubt, its interval on both sides of it, or a measurement is not
valid; 2 and 4 as `insight-edge`.
"""

import argparse
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from benchmarks import prediction, selection
from benchmarks.figure import exit_code
from benchmarks.screen import complain, emit, err, show
from benchmarks.session import BENCHMARKS, LONG, SHORT, Take, take
from insight_edge.errors import InsightEdgeError


def main(arguments: list[str]) -> int:
    """Return the exit code."""
    options = _options(arguments)
    try:
        with err.status("starting") as status:
            session = take(options.names or SHORT, status.update, _known(options))
    except InsightEdgeError as error:
        complain(str(error), error.hint)
        return error.exit_code
    (emit if options.json else show)(session)
    return exit_code(session.figures)


def _known(options: argparse.Namespace) -> Mapping[str, Take]:
    """Return the benchmarks, those of hardware reading and keeping the files that were named."""
    files, keep = options.replay, options.keep
    first = files[0] if files else None
    return {
        **BENCHMARKS,
        prediction.NAME: partial(prediction.take, replay=first, keep=keep),
        selection.NAME: partial(selection.take, replay=files, keep=keep),
    }


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
        help=f"{known}; {', '.join(sorted(LONG))} only by name",
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument(
        "--from",
        dest="replay",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="results to take in place of measuring: prediction needs one, selection two",
    )
    parser.add_argument("--keep", type=Path, metavar="FILE", help="where these are kept")
    options = parser.parse_args(arguments)
    if selection.NAME in options.names and len(options.replay) == 1:
        parser.error("selection is answered from one file and judged by another: give two --from")
    for name in options.names:
        if name not in BENCHMARKS:
            parser.error(f"no benchmark is called '{name}'; there are {known}")
    return options


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
