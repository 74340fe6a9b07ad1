# SPDX-License-Identifier: Apache-2.0
"""Time several subjects in turn, so that what disturbs the machine disturbs all alike."""

import random
from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Block = NDArray[np.int64]


class Timed(Protocol):
    """What can be timed in blocks."""

    def block(self, iterations: int) -> Block:
        """Return the duration in ns of each of some calls."""
        ...


def interleave(
    subjects: Mapping[str, tuple[Timed, int]],
    *,
    rounds: int,
    seed: int = 0,
    tell: Callable[[int], None] = lambda _: None,
) -> dict[str, list[Block]]:
    """Return the blocks of every subject by name, block i of each from round i.

    In each round all subjects run once, in an order drawn anew. The first call of
    a block is left out: it finds the caches as another subject left them.

    Args:
        subjects: by name, each with its iterations a block.
        rounds: how many.
        seed: of the order.
        tell: called with the number of rounds done.
    """
    order = list(subjects)
    shuffle = random.Random(seed).shuffle  # noqa: S311 (an order, not a secret)
    blocks: dict[str, list[Block]] = {name: [] for name in subjects}
    for done in range(rounds):
        shuffle(order)
        for name in order:
            subject, iterations = subjects[name]
            blocks[name].append(subject.block(iterations + 1)[1:])
        tell(done + 1)
    return blocks
