# SPDX-License-Identifier: Apache-2.0
"""`python -m zoo make --out DIR [NAME ...]`: make members of the zoo; `list`: what is there.

Exit codes as `insight-edge`: 0 all were made, 2 for a name that is not known, 4
where the environment with the data is not installed.
"""

import argparse
import sys
import time
from pathlib import Path

from insight_edge.errors import InsightEdgeError
from zoo.keeping import MEMBERS, make
from zoo.writing import read_card


def main(arguments: list[str]) -> int:
    """Return the exit code."""
    options = _options(arguments)
    if options.verb == "list":
        for name in MEMBERS:
            print(name)
        return 0
    try:
        for name in options.names or MEMBERS:
            _make(name, options.out, options.effort, anew=options.anew)
    except InsightEdgeError as error:
        print(f"error: {error}", file=sys.stderr)
        if error.hint:
            print(f"hint: {error.hint}", file=sys.stderr)
        return error.exit_code
    return 0


def _make(name: str, out: Path, effort: float, *, anew: bool) -> None:
    started = time.monotonic()
    made = anew or not (out / name / "card.json").exists()
    card = make(name, out, effort=effort) if made else read_card(out / name)
    value = "nobody knows" if card.value is None else f"{card.value:.3f}"
    took = f"{time.monotonic() - started:.0f} s" if made else "was there"
    print(f"{name}: {card.metric} {value} ({took})", flush=True)


def _options(arguments: list[str]) -> argparse.Namespace:
    shape = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m zoo", description=__doc__, formatter_class=shape)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("list", help="print the names")
    making = verbs.add_parser("make", help="make members that are not there yet")
    making.add_argument("--out", type=Path, required=True, help="the folder to make them in")
    making.add_argument("--effort", type=float, default=1.0, help="share of the training steps")
    making.add_argument("--anew", action="store_true", help="make those that are there again")
    making.add_argument("names", nargs="*", metavar="NAME", help="all by default")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
