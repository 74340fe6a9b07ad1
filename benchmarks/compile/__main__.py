# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks.compile [--zoo DIR] [--rounds N] [--json] [NAME ...]`: some of the zoo.

Exit codes as `python -m benchmarks`.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

from benchmarks.figure import exit_code
from benchmarks.screen import complain, emit, err, show
from benchmarks.session import take
from insight_edge.errors import InsightEdgeError


def main(arguments: list[str]) -> int:
    """Return the exit code."""
    # Children that time are started from this module: what it imports at the top, they do.
    from benchmarks.compile.taking import ROUNDS, ZOO, take_some
    from zoo.keeping import MEMBERS

    parser = argparse.ArgumentParser(prog="python -m benchmarks.compile", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="members; all by default")
    parser.add_argument("--zoo", type=Path, default=ZOO, help="where members are kept")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of the timing")
    parser.add_argument("--json", action="store_true", help="for programs")
    options = parser.parse_args(arguments)
    own = partial(
        take_some, zoo=options.zoo, names=options.names or tuple(MEMBERS), rounds=options.rounds
    )
    try:
        with err.status("starting") as status:
            session = take(["compile"], status.update, {"compile": own})
    except InsightEdgeError as error:
        complain(str(error), error.hint)
        return error.exit_code
    (emit if options.json else show)(session)
    return exit_code(session.figures)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
