# SPDX-License-Identifier: Apache-2.0
"""How a figure reads."""

import pytest

from benchmarks.figure import Unit, figure_from_count, figure_from_estimate
from benchmarks.screen import bar_text, interval_text, value_text


@pytest.mark.parametrize(
    ("unit", "bar", "expected"),
    [
        ("x", 2.0, ("1.234 x", "1.100 to 1.400", "≤ 2 x")),
        ("us", 8.0, ("+1.2 µs", "+1.1 to +1.4", "≤ 8 µs")),
        ("x", None, ("1.234 x", "1.100 to 1.400", "-")),
    ],
)
def test_figure_reads_with_its_unit(
    unit: Unit, bar: float | None, expected: tuple[str, str, str]
) -> None:
    figure = figure_from_estimate(
        (1.234, 1.1, 1.4), name="n", case="c", compared=("a", "b"), unit=unit, rounds=9, bar=bar
    )
    assert (value_text(figure), interval_text(figure), bar_text(figure)) == expected


def test_count_reads_as_a_whole_number_without_interval() -> None:
    figure = figure_from_count(0, name="n", case="c", counted="calls dropped", total=40000)
    assert (value_text(figure), interval_text(figure), bar_text(figure)) == ("0", "", "≤ 0")
