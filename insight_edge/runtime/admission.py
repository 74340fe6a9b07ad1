# SPDX-License-Identifier: Apache-2.0
"""Whether there is room for one more model, and who has to leave for it. Pure.

What a model needs and what is free are values here; `models` reads them and does what is said.
"""

from collections.abc import Sequence
from typing import NamedTuple

MIB = 2**20


class Resident(NamedTuple):
    """A model that takes memory, or wants to.

    Attributes:
        priority: larger goes first.
        turn: grows with every model that was asked for.
    """

    name: str
    priority: int
    need_bytes: int
    turn: int


class Admission(NamedTuple):
    """What came of it.

    Attributes:
        evicted: who leaves first, in that order; nobody where it is refused.
    """

    admitted: bool
    evicted: tuple[str, ...] = ()


def free_bytes(
    available_bytes: int,
    reserve_bytes: int,
    budget_bytes: int | None,
    resident: Sequence[Resident],
) -> int:
    """Return the room for one more model; below 0 where there is less than none.

    Args:
        available_bytes: that this process could take now.
        reserve_bytes: of these, that no model gets.
        budget_bytes: that all models may take together; None for no such bound.
        resident: who is loaded.
    """
    free = available_bytes - reserve_bytes
    if budget_bytes is None:
        return free
    return min(free, budget_bytes - sum(each.need_bytes for each in resident))


def admit(
    wanted: Resident, resident: Sequence[Resident], free: int, *, evicting: bool
) -> Admission:
    """Return whether a model may be loaded.

    Who leaves is of a lower priority than the one that comes: the lowest first, of equals the one
    that came last. Nobody leaves in vain, neither for one that is refused nor where those who
    leave besides give room enough.

    Args:
        wanted: the one that is to be loaded.
        resident: who is loaded.
        free: bytes, as `free_bytes`.
        evicting: others may have to leave.
    """
    if wanted.need_bytes <= free:
        return Admission(admitted=True)
    lower = [each for each in resident if each.priority < wanted.priority]
    leaving: list[Resident] = []
    for each in sorted(lower, key=lambda one: (one.priority, -one.turn)) if evicting else ():
        leaving.append(each)
        if wanted.need_bytes <= free + _bytes(leaving):
            break
    else:
        return Admission(admitted=False)
    for each in reversed(leaving[:-1]):  # the highest of them is the first to be spared
        if wanted.need_bytes <= free + _bytes(leaving) - each.need_bytes:
            leaving.remove(each)
    return Admission(admitted=True, evicted=tuple(each.name for each in leaving))


def restorable(waiting: Sequence[Resident], free: int) -> Resident | None:
    """Return who may come back now, without anybody leaving.

    It is the one of the highest priority, of equals the one that was asked for first; where there
    is no room for it a smaller one does not take its place.
    """
    if not waiting:
        return None
    first = min(waiting, key=lambda one: (-one.priority, one.turn))
    return first if first.need_bytes <= free else None


def threads_each(usable: int, at_once: int) -> int:
    """Return the threads of each model's engine, where so many calls are made at once.

    Whichever models these calls are of, they have no more threads together than can run.
    """
    return max(1, usable // at_once)


def refusal(wanted: Resident, free: int, lower: Sequence[Resident]) -> str:
    """Return why a model is not loaded, in one line.

    Args:
        wanted: the model.
        free: bytes, as `free_bytes`.
        lower: who could have been made to leave.
    """
    needs = f"'{wanted.name}' needs {_mib(wanted.need_bytes)} MiB, {_mib(max(0, free))} are free"
    if not lower:
        return needs
    names = ", ".join(f"'{each.name}'" for each in lower)
    return f"{needs}, and would not be enough without {names} either"


def _bytes(leaving: Sequence[Resident]) -> int:
    return sum(each.need_bytes for each in leaving)


def _mib(length_bytes: int) -> str:
    return f"{length_bytes / MIB:,.1f}"
