# SPDX-License-Identifier: Apache-2.0
"""What launches of several subjects, timed in turn, say of each against the first: pure.

A process keeps for its life the addresses it was given, and on small models they alone make two
processes of one bundle differ by some percent. So a launch is one pair, however many rounds it has:
within it the ratio is the median over rounds, where what slowed the machine down cancels, and the
interval is of launches. Who is started and asked first is drawn by lot in each, which is what
`stats.signed_rank` rests on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, exp, log
from typing import Final

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from insight_edge.bench.comparison_sentence import sentence_of
from insight_edge.documents.evidence import Comparison, ComparisonVerdict, Interval
from insight_edge.stats.interval import median_interval
from insight_edge.stats.signed_rank import pairs_needed, signed_rank_interval, signed_rank_p

ALPHA: Final = 0.05
"""The chance that like things are called different anywhere in a table, at most."""

SAME: Final = 0.05
"""What people call no difference, where nobody says otherwise: a share."""

Values = NDArray[np.float64]
"""In ms, of one subject in one launch: of each round, where rounds pair, or a single one."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """On what terms subjects are compared.

    Attributes:
        statistic: what of latencies is compared, for people.
        rounds: of a launch.
        same: the share by which two may differ and be called the same.
        seed: of every order that was drawn.
        invalid: reasons why nothing may be said.
        disturbed: what disturbed launches, for people.
        hides: disturbances may be all that was measured, so that a difference is hidden.
    """

    statistic: str = "p50"
    rounds: int
    same: float = SAME
    seed: int = 0
    invalid: tuple[str, ...] = ()
    disturbed: tuple[str, ...] = ()
    hides: bool = False


def compare_launches(
    sides: Sequence[Sequence[Values]], names: Sequence[str], terms: Terms
) -> tuple[Comparison, ...]:
    """Return what launches say of each side against the first.

    The intervals hold together: where several are compared with the first, the chance that any of
    them leaves out its true ratio is at most `ALPHA` (Bonferroni).

    Args:
        sides: of each subject the values of every launch, in the order of launches.
        names: of the subjects.
        terms: how they were taken.

    Raises:
        ValueError: there is one side alone, or sides have different numbers of launches or of
            values, or none, or a value is not positive.
    """
    if len(sides) < 2:
        raise ValueError("one side is compared with nothing")
    for one, other in pairwise(sides):
        _refuse_unpaired(one, other)
    first, *others = zip(names, sides, strict=True)
    return tuple(_compared(first, other, len(others), terms) for other in others)


def _compared(
    a: tuple[str, Sequence[Values]], b: tuple[str, Sequence[Values]], family: int, terms: Terms
) -> Comparison:
    confidence, launches = 1 - ALPHA / family, len(a[1])
    logs = [log(float(np.median(own / base))) for base, own in zip(a[1], b[1], strict=True)]
    value, low, high = (exp(end) for end in signed_rank_interval(logs, confidence=confidence))
    ratio = Interval(value=value, low=low, high=high, confidence=confidence)
    needed = pairs_needed(confidence)
    short = () if launches >= needed else (f"{launches} of the {needed} launches that are needed",)
    invalid = (*terms.invalid, *short)
    verdict = "INVALID" if invalid else _verdict(ratio, terms)
    wide = verdict == "NOISY" and not _is_same(ratio, terms.same)
    found = Comparison(
        a=a[0],
        b=b[0],
        statistic=terms.statistic,
        a_ms=_median_of(a[1]),
        b_ms=_median_of(b[1]),
        ratio=ratio,
        p_value=signed_rank_p(logs),
        compared=family,
        same=terms.same,
        launches=launches,
        launches_needed=_launches_needed(ratio, terms.same, launches) if wide else 0,
        rounds=terms.rounds,
        seed=terms.seed,
        verdict=verdict,
        reasons=(*invalid, *terms.disturbed),
    )
    return replace(found, sentence=sentence_of(found))


def _verdict(ratio: Interval, terms: Terms) -> ComparisonVerdict:
    if ratio.high < 1:
        return "faster"
    if ratio.low > 1:
        return "slower"
    same = _is_same(ratio, terms.same) and not terms.hides
    return "no difference" if same else "NOISY"


def _is_same(ratio: Interval, same: float) -> bool:
    return 1 / (1 + same) <= ratio.low and ratio.high <= 1 + same


def _launches_needed(ratio: Interval, same: float, launches: int) -> int:
    """Return how many launches might tell, if more of them went on as these.

    The interval narrows with the root of their number. When its half is no wider than half of what
    may be the same, it either leaves out 1 or keeps to that, wherever its middle is; half of the
    difference that was seen is enough too, since what is seen by chance is mostly too much.
    """
    half, off = log(ratio.high / ratio.low) / 2, abs(log(ratio.value))
    return max(launches + 1, ceil(launches * (2 * half / max(log(1 + same), off)) ** 2))


def _median_of(launches: Sequence[Values]) -> Interval:
    value, low, high = median_interval([np.array([np.median(own)]) for own in launches])
    return Interval(value=value, low=low, high=high)


def _refuse_unpaired(one: Sequence[Values], other: Sequence[Values]) -> None:
    if len(one) != len(other) or not one:
        raise ValueError(f"{len(one)} launches against {len(other)}")
    for own, base in zip(one, other, strict=True):
        if len(own) != len(base) or not len(own):
            raise ValueError(f"{len(own)} rounds against {len(base)}")
        if not (own > 0).all() or not (base > 0).all():
            raise ValueError("a latency that is not positive has no ratio to another")
