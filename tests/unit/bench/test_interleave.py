# SPDX-License-Identifier: Apache-2.0
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from insight_edge.bench.interleave import interleave


@dataclass
class Recorded:
    """A subject that notes when it was timed."""

    name: str
    order: list[str]
    asked: list[int] = field(default_factory=list)

    def block(self, iterations: int) -> NDArray[np.int64]:
        self.order.append(self.name)
        self.asked.append(iterations)
        return np.arange(iterations)


def interleaved(
    seed: int, rounds: int = 40
) -> tuple[list[str], dict[str, Recorded], dict[str, list[NDArray[np.int64]]]]:
    order: list[str] = []
    subjects = {name: Recorded(name, order) for name in "abc"}
    timed = {name: (one, 2 + index) for index, (name, one) in enumerate(subjects.items())}
    return order, subjects, interleave(timed, rounds=rounds, seed=seed)


def test_every_round_times_every_subject_once() -> None:
    order, _, blocks = interleaved(0)
    turns = [order[start : start + 3] for start in range(0, len(order), 3)]
    assert [sorted(turn) for turn in turns] == [["a", "b", "c"]] * 40
    assert {name: len(own) for name, own in blocks.items()} == dict.fromkeys("abc", 40)


def test_order_is_drawn_anew_each_round_and_again_the_same_by_its_seed() -> None:
    order, _, _ = interleaved(0)
    turns = Counter(tuple(order[start : start + 3]) for start in range(0, len(order), 3))
    assert len(turns) == 6
    assert interleaved(0)[0] == order
    assert interleaved(1)[0] != order


def test_first_call_of_a_block_is_made_and_left_out() -> None:
    _, subjects, blocks = interleaved(0)
    assert set(subjects["b"].asked) == {4}
    assert all(block.tolist() == [1, 2, 3] for block in blocks["b"])


def test_rounds_done_are_told() -> None:
    told: list[int] = []
    interleave({"a": (Recorded("a", []), 1)}, rounds=3, tell=told.append)
    assert told == [1, 2, 3]
