# SPDX-License-Identifier: Apache-2.0
"""Verb `select`: which device for this model, how surely, and what each demand costs?"""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from insight_edge.bundle.durable import storing
from insight_edge.cli.predict_inputs import options_from_flags
from insight_edge.cli.screen import Format
from insight_edge.cli.select_demands import demand_from_flags, fleet_from_flags
from insight_edge.cli.select_table import show_choice
from insight_edge.documents.profile import FormFactor
from insight_edge.errors import NothingShippableError
from insight_edge.selection.choice import Choice, choose
from insight_edge.selection.page import page
from insight_edge.selection.sentences import miss
from insight_edge.selection.weighing import By


def select(
    model: Annotated[list[Path], Parameter(name=["--model", "-m"], json_list=False)],
    *,
    profile: tuple[str, ...] = (),
    target: tuple[str, ...] = (),
    results: Annotated[tuple[Path, ...], Parameter(name=["--results"])] = (),
    percentile: float = 50.0,
    rate: float | None = None,
    max_latency_ms: float | None = None,
    max_drop: float | None = None,
    max_memory_mib: float | None = None,
    max_power_w: Annotated[float | None, Parameter(name=["--max-power-w", "--max-power"])] = None,
    max_price_usd: Annotated[
        float | None, Parameter(name=["--max-price-usd", "--max-price"])
    ] = None,
    form_factor: tuple[FormFactor, ...] = (),
    by: By = "cost",
    devices: int = 1,
    years: float = 3.0,
    energy_price: float | None = None,
    html: Path | None = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    trust_pickle: bool = False,
    format: Format = "table",  # noqa: A002 - the flag is --format
) -> None:
    """Choose a device for a model: the best that keeps to every demand, and how surely.

    What was measured goes before what is predicted, and that before a bound, which never wins.
    Several models are alternatives. A price or power that a profile does not give is unknown,
    and never guessed. Exits 1 when no device keeps to the demands, with the nearest miss of each.

    Args:
        model: a file that an importer reads; give it again for more than one.
        profile: id or TOML file of a hardware profile, repeatable; all shipped ones by default.
        target: only this backend:precision; give it again for more than one.
        results: file of `bench -o`, or a bundle; give it again for more than one.
        percentile: of the latency that is limited.
        rate: rows a second, at random; they wait for one another.
        max_latency_ms: of that percentile, waiting included.
        max_drop: percentage points of the task metric; what was not proven is refused.
        max_memory_mib: of the process that runs it.
        max_power_w: the most that the device draws.
        max_price_usd: of one device.
        form_factor: module, sbc, developer-kit, pcie-card, mini-pc, desktop, server or
            cloud-instance; give it again for more than one that will do.
        by: what is least: cost of the fleet, latency or power; latency where no price is known.
        devices: in the fleet.
        years: that they run.
        energy_price: USD a kilowatt hour; without it energy costs nothing.
        html: one page with plots that needs nothing else.
        output: file that is written in place of standard output.
        trust_pickle: let code in model files run.
        format: how to print; JSON and CSV have every target of every device.
    """
    demand = demand_from_flags(
        percentile=percentile,
        rate=rate,
        max_latency_ms=max_latency_ms,
        max_drop=max_drop,
        max_memory_mib=max_memory_mib,
        max_power_w=max_power_w,
        max_price_usd=max_price_usd,
        form_factors=form_factor,
    )
    fleet = fleet_from_flags(devices=devices, years=years, energy_price=energy_price)
    options = options_from_flags(model, profile, target, results, trust_pickle=trust_pickle)
    choice = choose(options, demand, fleet, by)
    show_choice(choice, demand, fleet, format, output)
    if html is not None:
        with storing(html):
            html.write_text(page(choice, demand, fleet), encoding="utf-8")
    _refuse_none(choice)


def _refuse_none(choice: Choice) -> None:
    """Raise where no device keeps to the demands.

    Raises:
        NothingShippableError: with the nearest miss of each demand.
    """
    if choice.winner is not None:
        return
    near = "; ".join(miss(one) for one in choice.relaxed)
    raise NothingShippableError(
        f"no device keeps to the demands: {near or 'of none a latency is known'}",
        hint="relax one of them, or give --results or profiles with more figures",
    )
