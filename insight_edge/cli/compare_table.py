# SPDX-License-Identifier: Apache-2.0
"""How comparisons look: a row each, and under a table each as a sentence."""

from collections.abc import Sequence

from rich.markup import escape

from insight_edge.bench.scenarios.scenario import Scenario
from insight_edge.cli.screen import Format, out
from insight_edge.cli.subjects import interval_cell, show
from insight_edge.documents.evidence import Comparison


def show_comparisons(
    found: Sequence[Comparison], scenario: Scenario, threads: int, output: Format
) -> None:
    """Print comparisons of one table.

    Args:
        found: at least one, all with the same first side.
        scenario: how they were asked.
        threads: of each.
        output: how.
    """
    first = found[0]
    title = (
        f"{scenario.name.capitalize()} {first.statistic}, {_count(threads, 'thread')}, "
        f"{first.launches} launches of {_count(first.rounds, 'round')}"
    )
    show([_row(one, output) for one in found], output, title=title, document=list(found))
    if output == "table":
        for one in found:
            out.print(escape(one.sentence), soft_wrap=True)
        for reason in dict.fromkeys(reason for one in found for reason in one.reasons):
            out.print(escape(reason), soft_wrap=True)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _row(found: Comparison, output: Format) -> dict[str, str]:
    ratio = found.ratio
    row = {
        "a": found.a,
        "b": found.b,
        f"a {found.statistic} ms": interval_cell(found.a_ms),
        f"b {found.statistic} ms": interval_cell(found.b_ms),
        "b over a": f"{ratio.value:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]",
        "p": f"{found.p_value:.2g}",
        "b is": found.verdict,
    }
    return row if output == "table" else row | {"sentence": found.sentence}
