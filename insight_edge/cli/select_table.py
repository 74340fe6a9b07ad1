# SPDX-License-Identifier: Apache-2.0
"""A choice as a table, JSON, CSV or Markdown, to standard output or into a file."""

import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from rich.markup import escape

from insight_edge.bundle.durable import storing
from insight_edge.cli.predict import latency_cell, plain
from insight_edge.cli.screen import PIPED_WIDTH, Format, emit, emit_json, out
from insight_edge.selection.choice import Choice, best_first
from insight_edge.selection.demands import Judged
from insight_edge.selection.option import Demand, Fleet, Option
from insight_edge.selection.sentences import (
    answer,
    bargain,
    caveats,
    cost_told,
    demand_told,
    fleet_told,
    response_told,
    standing,
)
from insight_edge.selection.weighing import Weighed

UNKNOWN_PRICE = "price unknown"


def show_choice(
    choice: Choice, demand: Demand, fleet: Fleet, output: Format, path: Path | None = None
) -> None:
    """Print a choice, or write it into a file.

    Raises:
        StorageError: the file cannot be written.
    """
    if path is None:
        _show(choice, demand, fleet, output)
        return
    text = StringIO()
    out.width = PIPED_WIDTH  # `out` writes to whatever standard output is
    with redirect_stdout(text):
        _show(choice, demand, fleet, output)
    with storing(path):
        path.write_text(text.getvalue(), encoding="utf-8")


def choice_plain(choice: Choice, demand: Demand, fleet: Fleet) -> dict[str, Any]:
    """Return a choice as plain values for programs."""
    winner, next_ = choice.winner, choice.runner_up
    return {
        "verdict": choice.verdict,
        "by": choice.by,
        "winner": _plain(winner) if winner else None,
        "runner_up": next_.option.name if next_ else None,
        "margin": choice.margin,
        "confidence": choice.confidence,
        "demands": demand_told(demand),
        "fleet": fleet_told(fleet),
        "caveats": caveats(choice, demand),
        "relaxed": [
            {
                "demand": one.judged.name,
                "limit": _side(one.judged, 1, one.judged.limit),
                "value": _side(one.judged, 0, one.judged.value),
                "unit": one.judged.unit,
                "option": one.weighed.option.name,
                "gain": one.gain,
            }
            for one in choice.relaxed
        ],
        "options": [_plain(one) for one in choice.weighed],
    }


def _show(choice: Choice, demand: Demand, fleet: Fleet, output: Format) -> None:
    if output == "json":
        emit_json(choice_plain(choice, demand, fleet))
        return
    ordered = best_first(choice)
    if output == "csv":
        emit([_plain(one) for one in ordered], output)
        return
    best = {(one.option.model, one.option.profile.id): one for one in reversed(ordered)}
    rows = [
        _row(one, choice) for one in ordered if best[one.option.model, one.option.profile.id] is one
    ]
    if output == "table":
        rows = [{key: escape(value) for key, value in row.items()} for row in rows]
    emit(
        rows,
        output,
        title=escape(f"Best of each device; demands: {demand_told(demand)}"),
    )
    told = [f"Cost: {fleet_told(fleet)}.", answer(choice)]
    told += caveats(choice, demand)
    told += [f"{bargain(one)}." for one in choice.relaxed if one.gain is not None]
    sys.stdout.write("\n" + "\n".join(f"- {line}" for line in told) + "\n")


def _row(one: Weighed, choice: Choice) -> dict[str, str]:
    option = one.option
    mark = "✔" if one is choice.winner else "·" if one.undominated else ""
    return {
        "": mark,
        "model": option.model,
        "device": option.profile.id,
        "target": option.target.token,
        "p50 ms": latency_cell(option),
        "which is": option.latency.kind if option.latency else "not known",
        "response ms": response_told(one),
        "price": UNKNOWN_PRICE if option.price_usd is None else f"{option.price_usd:,.0f} USD",
        "fleet USD": cost_told(one),
        "power W": _shown(option.power_w),
        "form factor": option.form_factor or "-",
        "demands": standing(one),
    }


def _plain(one: Weighed) -> dict[str, Any]:
    return plain(one.option) | {
        "response_ms": _finite(one.response_ms),
        "price_usd": one.option.price_usd,
        "fleet_cost_usd": one.cost_usd,
        "power_w": one.option.power_w,
        "form_factor": one.option.form_factor,
        "dimensions_mm": _dimensions(one.option),
        "drop_pp": one.option.drop_pp,
        "keeps": one.kept,
        "chance": one.chance,
        "pareto": one.undominated,
        "standing": standing(one),
    }


def _dimensions(option: Option) -> str | None:
    """Return the dimensions as `103 x 90.5 x 34.8`, one cell in CSV as well."""
    found = option.profile.dimensions_mm
    return None if found is None else " x ".join(f"{side:g}" for side in found.value)


def _side(judged: Judged, index: int, value: float | None) -> float | str | None:
    """Return a limit, or what it was held against: a number, or words where there is none."""
    return _finite(value) if judged.words is None else judged.words[index] or None


def _shown(value: float | None, form: str = ".3g") -> str:
    return "-" if value is None else format(value, form)


def _finite(value: float | None) -> float | None:
    return None if value is None or value in {float("inf"), float("-inf")} else value
