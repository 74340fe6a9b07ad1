# SPDX-License-Identifier: Apache-2.0
"""How often the device that is chosen is the best one, by a measuring run of its own.

A question is a network of `prediction` and a limit on its latency that some devices keep and
others do not; devices are its stand-ins, each at a price that grows with what it does at most.
It is answered by `choose` from one run and judged by another: right is the cheapest device that
keeps to the limit, or one whose price and latency are within 5 % of that. The time of a run is
its least block.

Expected: 97 % right and 5 % that nobody can tell, most of the errors where the limit lies
between what one device took in either run: the machine is shared.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figure import Figure, figure_from_estimate
from benchmarks.prediction import results_of
from benchmarks.prediction_devices import STAND_INS, StandIn
from benchmarks.prediction_networks import networks
from benchmarks.prediction_points import least_ms
from insight_edge.documents.profile import Figure as Said
from insight_edge.documents.result import BenchResult
from insight_edge.selection.choice import choose
from insight_edge.selection.latency import Latency
from insight_edge.selection.option import Demand, Option
from insight_edge.stats.interval import wilson

NAME = "selection"
SEED = 0
LIMITS_MS = tuple(0.05 * 2 ** (i / 2) for i in range(15))
"""0.05 to 6.4 ms, two to an octave."""

CLOSE = 1.05
WRONG_BAR, UNTOLD_BAR = 5.0, 10.0

Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A device as one run knows it: what a network took there, at least, and in its worst round."""

    device: StandIn
    least_ms: float
    worst_ms: float

    @property
    def price(self) -> float:
        """What it costs; USD."""
        wide = {"AVX512": 1.0, "AVX2": 0.6}[self.device.isa]
        bf16 = 1.3 if self.device.precision == "bf16" else 1.0
        return 20 + 100 * self.device.quota * self.device.cores * wide * bf16


def take(
    place: Path, tell: Tell, *, replay: Sequence[Path] = (), keep: Path | None = None
) -> Iterator[Figure]:
    """Yield the figures.

    Args:
        place: a directory to work in.
        tell: what is being done.
        replay: two files of results to take in place of measuring: to answer from, to judge by.
        keep: file that what is measured is added to.
    """
    drawn = networks(SEED)
    files: Sequence[Path | None] = replay or (None, None)
    known, true = (tried(results_of(drawn, place, tell, replay=file, keep=keep)) for file in files)
    asked = [(known[name], true[name], limit) for name in drawn for limit in LIMITS_MS]
    split = [one for one in asked if 0 < _keeping(one[1], one[2]) < len(one[1])]
    answers = [answered(*one) for one in split]
    told = [answer for answer in answers if answer is not None]
    wrong, untold = told.count(False), len(answers) - len(told)
    note = f"of {len(asked)} questions those in which some of {len(STAND_INS)} devices do"
    yield _share(wrong, len(told), "not the best within 5 %", WRONG_BAR, note)
    yield _share(untold, len(answers), "cannot tell", UNTOLD_BAR, note)


def tried(results: Sequence[BenchResult]) -> dict[str, list[Tried]]:
    """Return what each network took on each stand-in."""
    devices = {device.id: device for device in STAND_INS}
    found: dict[str, list[Tried]] = {}
    for result in results:
        if result.profile in devices:
            rounds = [min(block) for block in result.samples_ms]
            found.setdefault(result.model.name, []).append(
                Tried(
                    device=devices[result.profile],
                    least_ms=least_ms(result),
                    worst_ms=max(rounds),
                )
            )
    return found


def answered(known: Sequence[Tried], true: Sequence[Tried], limit_ms: float) -> bool | None:
    """Return whether one run answers a question as another would; None where it cannot tell."""
    found = choose([_option(one) for one in known], Demand(max_latency_ms=limit_ms))
    if found.verdict == "cannot tell":
        return None
    meeting = [one for one in true if one.least_ms <= limit_ms]
    if found.winner is None:
        return not meeting
    mine = next(one for one in true if one.device.id == found.winner.option.profile.id)
    cheapest = min((one.price for one in meeting), default=mine.price)
    return mine.least_ms <= limit_ms * CLOSE and mine.price <= cheapest * CLOSE


def _keeping(devices: Sequence[Tried], limit_ms: float) -> int:
    return sum(one.least_ms <= limit_ms for one in devices)


def _option(one: Tried) -> Option:
    price = Said(value=one.price, source="arithmetic")
    latency = Latency(
        p50_ms=one.least_ms,
        low_ms=one.least_ms,
        high_ms=one.worst_ms,
        kind="measured",
        basis="least of its blocks",
    )
    return Option(
        model="drawn",
        profile=one.device.profile(price),
        target=one.device.target,
        latency=latency,
        fits="yes",
    )


def _share(count: int, total: int, measured: str, bar: float, note: str) -> Figure:
    low, high = (100 * end for end in wilson(count, total))
    return figure_from_estimate(
        (100 * count / max(total, 1), low, high),
        name=NAME,
        case="cheapest that keeps a limit",
        compared=(measured, f"of {total}"),
        unit="%",
        rounds=total,
        bar=bar,
        note=note,
    )
