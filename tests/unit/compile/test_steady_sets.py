# SPDX-License-Identifier: Apache-2.0
import numpy as np

from insight_edge.compile.toolchains.steady_sets import number_by_first_use


def order_in_a_set(cls: type, *, scattered: int) -> list[int]:
    """Return how a set orders objects that were made in memory of another kind each time."""
    made = [cls() for _ in range(500)]
    made = [made[at] for at in np.random.default_rng(scattered).permutation(len(made))[:100]]
    places = {id(one): at for at, one in enumerate(made)}
    return [places[id(one)] for one in set(made)]


def test_a_set_of_objects_has_one_order_wherever_they_lie() -> None:
    class Plain:
        pass

    class Steady:
        pass

    number_by_first_use(Steady)
    orders = {
        cls: [order_in_a_set(cls, scattered=seed) for seed in (1, 2)] for cls in (Plain, Steady)
    }
    assert orders[Plain][0] != orders[Plain][1]
    assert orders[Steady][0] == orders[Steady][1]


def test_objects_are_still_told_apart() -> None:
    class Steady:
        pass

    number_by_first_use(Steady)
    one, other = Steady(), Steady()
    assert len({one, other, one}) == 2
    assert {one: 1, other: 2}[one] == 1
