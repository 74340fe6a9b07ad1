# SPDX-License-Identifier: Apache-2.0
"""Verb `compare`: is one bundle or variant faster than another, by how much, and is that sure?"""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from insight_edge.bench.verdict import comparison_from_launches
from insight_edge.cli.screen import Format
from insight_edge.cli.subjects import (
    Contender,
    contender,
    interval_cell,
    scheme_from_flags,
    show,
    time_contenders,
)
from insight_edge.documents.evidence import Comparison
from insight_edge.errors import ConfigurationError, MeasurementError


def compare(
    bundles: Annotated[list[Path], Parameter(json_list=False)],
    *,
    variant: tuple[str, ...] = (),
    input: Annotated[Path | None, Parameter(name=["--input"])] = None,  # noqa: A002 - the flag is --input
    threads: int | None = None,
    launches: int = 11,
    rounds: int = 5,
    iterations: int | None = None,
    seed: int = 0,
    python: Path | None = None,
    strict: bool = True,
    format: Format = "table",  # noqa: A002 - the flag is --format
) -> None:
    """Compare the latency of two bundles, or of two variants of one.

    Both are started together several times and timed in turn; the ratio is taken
    within each round, so what slows the machine down cancels. Exits 3 when the
    launches cannot tell.

    Args:
        bundles: directories of two bundles, or of one with two variants.
        variant: which variant, once for both or once for each; the winner by default.
        input: .npz with rows to ask, one array for each input; the golden inputs by default.
        threads: inference threads; as many as this process may use by default.
        launches: how often both are started; the interval resamples them.
        rounds: of a launch, in which each is timed once.
        iterations: timed inferences of each a launch; by default 30 ms of them a round.
        seed: of the order within rounds.
        python: interpreter to run in; by default this one, or that of the device's environment
            where this one lacks the engine.
        strict: exit 3 when the comparison is NOISY.
        format: how to print.
    """
    scheme = scheme_from_flags(
        rounds=rounds, iterations=iterations, threads=threads, seed=seed, launches=launches
    )
    a, b = _sides(bundles, variant)
    timed = time_contenders((a, b), scheme, rows=input, python=python, launches=launches)
    found = comparison_from_launches(
        [first.blocks for first, _ in timed],
        [second.blocks for _, second in timed],
        names=(a.label, b.label),
    )
    show([_row(found)], format, title="Paired comparison", document=found)
    if strict and found.verdict == "NOISY":
        raise MeasurementError(
            f"{launches} launches cannot tell the two apart, nor call them the same",
            hint="use a quieter machine or more --launches; --no-strict takes it as it is",
        )


def _sides(bundles: list[Path], variants: tuple[str, ...]) -> tuple[Contender, Contender]:
    if len(bundles) > 2 or len(variants) > 2:
        raise ConfigurationError(
            f"{len(bundles)} bundles and {len(variants)} variants, two sides are compared"
        )
    if len(bundles) == 1 and len(variants) < 2:
        names = [one.name for one in contender(bundles[0], None).bundle.manifest.variants]
        raise ConfigurationError(
            "one bundle has one side",
            hint=f"name a second bundle, or two of its variants with --variant: {', '.join(names)}",
        )
    first, *_, second = bundles * 2 if len(bundles) == 1 else bundles
    name_a, name_b = (variants * 2)[:2] if variants else (None, None)
    return contender(first, name_a), contender(second, name_b)


def _row(found: Comparison) -> dict[str, str]:
    ratio = found.ratio
    return {
        "a": found.a,
        "b": found.b,
        "a p50 ms": interval_cell(found.a_p50_ms),
        "b p50 ms": interval_cell(found.b_p50_ms),
        "b over a": f"{ratio.value:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]",
        "launches": f"{found.launches} of {found.rounds} rounds",
        "b is": found.verdict,
    }
