# SPDX-License-Identifier: Apache-2.0
"""Which of several are not beaten in everything by another: the Pareto front."""

from collections.abc import Sequence

Point = Sequence[float | None]
"""Figures of which less is better; None where one is not known."""


def front(points: Sequence[Point]) -> tuple[int, ...]:
    """Return the places of the points that no other dominates, in order."""
    return tuple(
        index
        for index, point in enumerate(points)
        if not any(dominates(other, point) for other in points)
    )


def dominates(one: Point, other: Point) -> bool:
    """Return whether one is as good in everything and better in something.

    What only one of them knows makes them incomparable.
    """
    pairs = list(zip(one, other, strict=True))
    if any((a is None) != (b is None) for a, b in pairs):
        return False
    known = [(a, b) for a, b in pairs if a is not None and b is not None]
    return all(a <= b for a, b in known) and any(a < b for a, b in known)
