# SPDX-License-Identifier: Apache-2.0
"""`python -m conformance`: run the corpora and write docs/conformance.json and .md.

Exit codes: 0 nothing is wrong and nothing was lost; 1 an answer is wrong, something
crashed, a case passes no more, or a backend is below its share; 2 and 4 as `insight-edge`.
"""

import argparse
import random
import sys
from pathlib import Path

from conformance.corpus import CORPORA, Case, cases, fetch
from conformance.crew import ROOT
from conformance.record import Record, joined, losses, read_record, write_record
from conformance.run import run
from conformance.table import MIN_SHARE, share, table
from insight_edge.compile.plugins.discovery import backends
from insight_edge.errors import InsightEdgeError

DOCUMENT = ROOT / "docs" / "conformance.json"
BACKENDS = tuple(sorted(backends()))


def main(arguments: list[str]) -> int:
    """Return the exit code."""
    options = _options(arguments)
    try:
        folder = fetch()
        if options.fetch:
            return 0
        before = read_record(options.output)
        chosen = () if options.table else _chosen(cases(folder), options)
        if options.missing:
            chosen = tuple(case for case in chosen if not _known(before, case, options.backend))

        def tell(found: Record, count: int) -> None:
            if len(found) % 50 == 0:
                sys.stderr.write(f"{len(found)} of {count}\n")
                write_record(options.output, joined(before, found))

        found = run(chosen, options.backend, limit_s=options.limit_s, tell=tell)
        now = joined(before, found)
        write_record(options.output, now)
        options.output.with_suffix(".md").write_text(table(now))
    except InsightEdgeError as error:
        sys.stderr.write(f"error: {error}\n" + (f"hint: {error.hint}\n" if error.hint else ""))
        return error.exit_code
    complaints = losses(before, found)
    for backend in BACKENDS:
        tally = share(now, backend)
        if tally is None:
            continue
        sys.stdout.write(f"{backend}: {tally}\n")
        if tally.forbidden:
            complaints.append(f"{backend}: {tally.forbidden} wrong or crashed")
        if tally.of_taken < MIN_SHARE:
            complaints.append(f"{backend}: {tally.of_taken:.1%}, not {MIN_SHARE:.0%}")
    sys.stderr.write("".join(f"{line}\n" for line in complaints))
    return 1 if complaints else 0


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m conformance",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--backend", action="append", choices=BACKENDS, help="all by default")
    parser.add_argument("--corpus", action="append", choices=CORPORA, help="all by default")
    parser.add_argument("--case", action="append", help="the name of one case, repeatable")
    parser.add_argument("--sample", type=int, help="so many cases, drawn with --seed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--missing", action="store_true", help="only what the record lacks")
    parser.add_argument("--limit-s", type=float, default=120.0, help="of one step of a case")
    parser.add_argument("--output", type=Path, default=DOCUMENT)
    parser.add_argument("--fetch", action="store_true", help="only get the corpora")
    parser.add_argument("--table", action="store_true", help="only write the table anew")
    options = parser.parse_args(arguments)
    options.backend = options.backend or list(BACKENDS)
    return options


def _chosen(found: tuple[Case, ...], options: argparse.Namespace) -> tuple[Case, ...]:
    kept = [
        case
        for case in found
        if case.corpus in (options.corpus or CORPORA)
        and (not options.case or case.name in options.case)
    ]
    if options.sample and options.sample < len(kept):
        kept = random.Random(options.seed).sample(kept, options.sample)  # noqa: S311 (a sample)
    return tuple(kept)


def _known(record: Record, case: Case, backends: list[str]) -> bool:
    return case.id in record and record[case.id].ours.keys() >= set(backends)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
