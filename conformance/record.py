# SPDX-License-Identifier: Apache-2.0
"""What became of every case: the document docs/conformance.json, and its laws.

One line a case, sorted, without dates and versions: two runs that find the same
give the same bytes.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from insight_edge.errors import DocumentError

Verdict = Literal["pass", "built", "refused", "failed", "wrong", "crash"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
GOOD = ("pass", "built")
FORBIDDEN: tuple[Verdict, ...] = ("wrong", "crash")
"""Of the product: an answer that is wrong and was not refused, and the end of a process of ours."""

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one case with one backend.

    Attributes:
        verdict: `built` is not executed for want of hardware.
        reason: in one line; empty where it passed.
    """

    verdict: Verdict
    reason: str = ""

    @property
    def good(self) -> bool:
        """Whether it did all that can be asked here."""
        return self.verdict in GOOD


@dataclass(frozen=True, kw_only=True)
class Row:
    """One case; by backend, through the product and with the bare engine."""

    ours: Mapping[str, Outcome]
    bare: Mapping[str, Outcome]


Record = Mapping[str, Row]
"""By case, `corpus/name`."""


def write_record(path: Path, record: Record) -> None:
    """Write a record, one line a case."""
    lines = [f"{json.dumps(case)}: {json.dumps(_plain(record[case]))}" for case in sorted(record)]
    body = ",\n".join(lines)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'{{"format": {FORMAT}, "cases": {{\n{body}\n}}}}\n')


def read_record(path: Path) -> dict[str, Row]:
    """Return a record; an empty one where there is none.

    Raises:
        DocumentError: it is malformed.
    """
    try:
        held = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise DocumentError(f"{path}: {error}") from error
    if held.get("format") != FORMAT:
        raise DocumentError(f"{path}: format {held.get('format')}, {FORMAT} is read")
    return {case: _row(said) for case, said in held["cases"].items()}


def joined(earlier: Record, later: Record) -> dict[str, Row]:
    """Return a record with what was found later instead of what was found earlier."""
    rows = dict(earlier)
    for case, row in later.items():
        before = rows.get(case, Row(ours={}, bare={}))
        rows[case] = Row(ours={**before.ours, **row.ours}, bare={**before.bare, **row.bare})
    return rows


def losses(before: Record, now: Record) -> list[str]:
    """Return each case and backend that was good and is not any more, with what it is now."""
    found = []
    for case in sorted(before.keys() & now.keys()):
        for backend, outcome in sorted(before[case].ours.items()):
            other = now[case].ours.get(backend)
            if outcome.good and other is not None and not other.good:
                found.append(f"{case} on {backend}: {other.verdict}: {other.reason}")
    return found


def _plain(row: Row) -> dict[str, list[list[str]]]:
    """Return the outcomes by backend: through the product, then of the bare engine."""
    return {
        backend: [_pair(row.ours[backend]), *([_pair(row.bare[backend])] if row.bare else [])]
        for backend in sorted(row.ours)
    }


def _pair(outcome: Outcome) -> list[str]:
    return [outcome.verdict, *([outcome.reason] if outcome.reason else [])]


def _row(said: Mapping[str, list[list[str]]]) -> Row:
    sides = [
        {b: _outcome(pairs[side]) for b, pairs in said.items() if len(pairs) > side}
        for side in (0, 1)
    ]
    return Row(ours=sides[0], bare=sides[1])


def _outcome(pair: list[str]) -> Outcome:
    verdict = pair[0]
    if verdict not in VERDICTS:
        raise DocumentError(f"'{verdict}' is no verdict")
    return Outcome(verdict=verdict, reason=pair[1] if len(pair) > 1 else "")
