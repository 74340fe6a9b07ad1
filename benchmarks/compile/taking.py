# SPDX-License-Identifier: Apache-2.0
"""Take the compiler's figures of members of the zoo; those that are not made yet are made.

Expected on a processor with VNNI: a quarter of PyTorch's time over all networks,
half of ONNX Runtime's on convolutional networks and the encoder, a tenth less
than what others' INT8 takes. Without VNNI INT8 gains little and there is no bar
for the first two.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.compile.figures import NAME, figures_of, figures_of_all
from benchmarks.compile.subjects import Taken, take_member
from benchmarks.figure import Figure, figure_from_count
from insight_edge.bench.machine import machine_facts
from insight_edge.compile.quantize.int8 import VNNI
from insight_edge.errors import ConfigurationError, ModelError, NothingShippableError
from zoo.keeping import MEMBERS, make
from zoo.member import CARD
from zoo.writing import read_card

ROUNDS = 40
ZOO = Path(sys.prefix) / "zoo"
"""Where members are kept between runs; it goes with the environment."""


def take(place: Path, tell: Callable[[str], None]) -> Iterator[Figure]:
    """Yield the figures of the whole zoo; `place` is a directory to work in.

    Raises:
        MeasurementError: a rival answers otherwise than its model, or a process died.
        ToolchainMissingError: what the zoo is made of, or what is compared with, is not installed.
    """
    return take_some(place, tell, zoo=ZOO, names=tuple(MEMBERS), rounds=ROUNDS)


def take_some(
    place: Path,
    tell: Callable[[str], None],
    *,
    zoo: Path,
    names: Sequence[str],
    rounds: int = ROUNDS,
) -> Iterator[Figure]:
    """Yield the figures of some members, then the means over them.

    A member that cannot be compiled is told of, counted and left out of the means.

    Raises:
        ConfigurationError: there is no member of a name.
        MeasurementError: a rival answers otherwise than its model, or a process died.
        ToolchainMissingError: what the zoo is made of, or what is compared with, is not installed.
    """
    found: list[Taken] = []
    asked = 0
    for name in names:
        if name not in MEMBERS:
            raise ConfigurationError(
                f"the zoo has no '{name}'", hint=f"it has {', '.join(MEMBERS)}"
            )
        if not (zoo / name / CARD).exists():
            tell(f"making {name}")
            make(name, zoo)
        if not read_card(zoo / name).rows["verification"]:
            _say(f"{name}: left out, it has no rows to be proven on")
            continue
        asked += 1
        own = place / name
        own.mkdir()
        try:
            taken = take_member(zoo / name, own, rounds, tell)
        except (ModelError, NothingShippableError) as error:
            _say(f"{name}: left out, {error}")
            continue
        for rival, why in taken.lost.items():
            _say(f"{name}: nothing of {rival}: {why}")
        found.append(taken)
        yield from figures_of(taken)
    yield figure_from_count(
        asked - len(found), name=NAME, case="zoo", counted="members without a bundle", total=asked
    )
    if found:
        yield from figures_of_all(found, vnni=bool(set(VNNI) & set(machine_facts().isa)))


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)
