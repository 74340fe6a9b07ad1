# SPDX-License-Identifier: Apache-2.0
"""Verb `predict`: how fast is this model on hardware that is not here, and does it fit there?"""

from math import isfinite
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.markup import escape

from insight_edge.cli.predict_inputs import options_from_flags
from insight_edge.cli.screen import Format, emit
from insight_edge.errors import NothingShippableError
from insight_edge.selection.footprint import MIB
from insight_edge.selection.option import Option

FITS = {"yes": "fits", "no": "does not fit", "unknown": "not known"}


def predict(
    model: Annotated[list[Path], Parameter(name=["--model", "-m"], json_list=False)],
    *,
    profile: tuple[str, ...] = (),
    target: tuple[str, ...] = (),
    results: Annotated[tuple[Path, ...], Parameter(name=["--results"])] = (),
    trust_pickle: bool = False,
    format: Format = "table",  # noqa: A002 - the flag is --format
) -> None:
    """Predict the latency of models on hardware profiles, and whether they fit into memory.

    Nothing is built or timed. A latency is measured where --results has it, else predicted,
    with an interval of 90 %, from the profile's figures and what was measured on devices of its
    class, else a bound: it cannot be less. Exits 1 when nothing can be said of any.

    Args:
        model: a file that an importer reads; give it again for more than one.
        profile: id or TOML file of a hardware profile, repeatable; all shipped ones by default.
        target: only this backend:precision; give it again for more than one.
        results: file of `bench -o`, or a bundle, to learn from; give it again for more than one.
        trust_pickle: let code in model files run.
        format: how to print.
    """
    options = options_from_flags(model, profile, target, results, trust_pickle=trust_pickle)
    if format in {"table", "md"}:
        emit([_row(one, format) for one in options], format, title="Latency and memory at batch 1")
    else:
        emit([plain(one) for one in options], format)
    if not any(one.latency for one in options):
        raise NothingShippableError(
            "nothing can be said of the latency on any of these devices",
            hint="give profiles with a clock or peaks: insight-edge profiles show ID",
        )


def latency_cell(option: Option) -> str:
    """Return a latency with its interval as text; a bound is what it is at least."""
    found = option.latency
    if found is None:
        return "-"
    if found.kind == "bound":
        return f"≥ {found.p50_ms:.3g}"
    return f"{found.p50_ms:.3g} [{found.low_ms:.3g}, {found.high_ms:.3g}]"


def plain(option: Option) -> dict[str, Any]:
    """Return an option as plain values, units in their names."""
    found = option.latency
    high = found.high_ms if found and isfinite(found.high_ms) else None
    return {
        "model": option.model,
        "profile": option.profile.id,
        "target": option.target.token,
        "latency_p50_ms": found.p50_ms if found else None,
        "latency_low_ms": found.low_ms if found else None,
        "latency_high_ms": high,
        "latency_kind": found.kind if found else None,
        "basis": found.basis if found else option.why,
        "memory_bytes": option.memory_bytes,
        "fits": option.fits,
    }


def _row(option: Option, output: Format) -> dict[str, Any]:
    found = option.latency
    memory = "?" if option.memory_bytes is None else f"{option.memory_bytes / MIB:,.0f}"
    basis = found.basis if found else option.why
    return {
        "model": escape(option.model) if output == "table" else option.model,
        "profile": option.profile.id,
        "target": option.target.token,
        "p50 ms": escape(latency_cell(option)) if output == "table" else latency_cell(option),
        "which is": found.kind if found else "not known",
        "memory ≤ MiB": memory,
        "memory": FITS[option.fits],
        "rests on": escape(basis) if output == "table" else basis,
    }
