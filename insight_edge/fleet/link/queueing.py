# SPDX-License-Identifier: Apache-2.0
"""Which message goes next, which gives way when room is short, and how long to wait for an ack.

Pure decisions (rules T3 and T4 in docs/formats/fleet.md). Nothing here stores or sends.
"""

from collections.abc import Mapping, Sequence
from itertools import chain, islice, zip_longest
from typing import Final, TypeVar

from insight_edge.documents.topics import Kind

KEPT: Final = (Kind.PREDICTION, Kind.SAMPLE, Kind.REPORT, Kind.OUTCOME, Kind.JOB_RESULT)
"""What is kept until the cloud has it; where room is short, the first of these go first."""

OVERHEAD_BYTES: Final = 256
"""What a database needs beside a payload, so that many tiny messages stay within bounds too."""

FIRST_PAUSE_S: Final = 15.0
LONGEST_PAUSE_S: Final = 900.0

T = TypeVar("T")


def room_bytes(messages: int, length_bytes: int) -> int:
    """Return the room that so many messages take, of this length together."""
    return length_bytes + messages * OVERHEAD_BYTES


def give_way(
    taken_bytes: Mapping[Kind, int], arriving: Kind, needed_bytes: int, most_bytes: int
) -> dict[Kind, int] | None:
    """Return how many bytes of each kind must go so that a message fits.

    A message never drives out a kind that is worth more than its own.

    Args:
        taken_bytes: room that the messages of each kind take.
        arriving: kind of the message.
        needed_bytes: room that it takes itself.
        most_bytes: room that there is.

    Returns:
        By kind, or None where the arriving message itself has to go.
    """
    missing_bytes = sum(taken_bytes.values()) + needed_bytes - most_bytes
    leaving: dict[Kind, int] = {}
    for kind in KEPT[: KEPT.index(arriving) + 1]:
        if missing_bytes <= 0:
            break
        if there_bytes := taken_bytes.get(kind, 0):
            leaving[kind] = min(there_bytes, missing_bytes)
            missing_bytes -= leaving[kind]
    return leaving if missing_bytes <= 0 else None


def in_turn(
    waiting: Mapping[Kind, Sequence[T]], last: Kind | None, limit: int
) -> list[tuple[Kind, T]]:
    """Return what goes next: one of each kind in turn, so that no kind waits for another to end.

    Args:
        waiting: of each kind, the oldest first.
        last: the kind that had the last turn; the one after it begins.
        limit: no more than these are returned.
    """
    begin = 0 if last is None else KEPT.index(last) + 1
    order = KEPT[begin:] + KEPT[:begin]
    columns = [[(kind, item) for item in waiting.get(kind, ())] for kind in order]
    rounds = chain.from_iterable(zip_longest(*columns))
    return list(islice((turn for turn in rounds if turn is not None), limit))


def pause_s(attempts: int, share: float) -> float:
    """Return how long to wait for an ack before a message is sent again.

    Args:
        attempts: times that it was sent, at least once.
        share: 0 to 1, at random, so that a fleet does not come back in step.
    """
    doubled_s = FIRST_PAUSE_S * 2.0 ** min(attempts - 1, 60)
    return min(doubled_s, LONGEST_PAUSE_S) * (0.5 + 0.5 * share)
