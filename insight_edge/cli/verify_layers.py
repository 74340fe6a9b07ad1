# SPDX-License-Identifier: Apache-2.0
"""The part of the verb `verify` that looks inside: where does a variant begin to differ?"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from insight_edge.bundle.open import Bundle
from insight_edge.cli.arrays import read_arrays
from insight_edge.cli.layers import describe_report, emit_errors, report_document
from insight_edge.cli.screen import Format, emit_json, err
from insight_edge.compile.layers.divergence import worst_layers
from insight_edge.documents.manifest import Variant
from insight_edge.errors import EngineMissingError, SelfCheckError

if TYPE_CHECKING:
    from insight_edge.compile.layers.layer_report import LayerReport


def verify_layers(
    bundle: Bundle,
    variants: Sequence[Variant],
    model: Path,
    rows: Path | None,
    output: Format,
    *,
    rebuild: bool,
    cache: Path | None,
    enough_db: float | None,
    worst: int,
    trust_pickle: bool,
) -> None:
    """Print for each variant the layers that differ most, and the first that diverged.

    Raises:
        SelfCheckError: a layer of a variant has diverged.
        EngineMissingError: no variant has an engine here.
        InputError: model, rows and bundle do not belong together.
    """
    from insight_edge.compile.layers.layerwise import Again, layer_report
    from insight_edge.compile.reading import read_source

    source = read_source(model, trust_pickle=trust_pickle)
    names = [spec.name for spec in bundle.manifest.io.inputs]
    given = None if rows is None else read_arrays(rows, names)
    found: dict[str, LayerReport] = {}
    missing: dict[str, EngineMissingError] = {}
    for variant in variants:
        with err.status(escape(f"looking into {variant.name}")) as shown:
            again = Again(
                cache=cache, tell=lambda words: shown.update(escape(words)), always=rebuild
            )
            try:
                found[variant.name] = layer_report(
                    bundle, variant, source, rows=given, enough_db=enough_db, again=again
                )
            except EngineMissingError as error:
                missing[variant.name] = error
    _emit(found, missing, output, worst)
    _refuse(found, missing)


def _emit(
    found: Mapping[str, "LayerReport"],
    missing: Mapping[str, EngineMissingError],
    output: Format,
    worst: int,
) -> None:
    if output == "json":
        told = {name: report_document(report) for name, report in found.items()}
        emit_json(told | {name: {"compared": None, "why": str(e)} for name, e in missing.items()})
    for name, report in found.items():
        shown = worst_layers(report.errors, worst) if worst else report.errors
        if output != "json" and shown:
            emit_errors(name, shown, output, first=report.first)
        for line in describe_report(name, report):
            err.print(escape(line), soft_wrap=True)
    for error in missing.values():
        err.print(escape(f"{error}; nothing was compared"), soft_wrap=True)


def _refuse(found: Mapping[str, "LayerReport"], missing: Mapping[str, EngineMissingError]) -> None:
    lost = [name for name, report in found.items() if report.first is not None]
    if lost:
        raise SelfCheckError(
            f"{', '.join(lost)}: a layer answers otherwise than the source model's",
            hint="compile it anew, or leave that layer in floating point",
        )
    if not found and missing:
        raise next(iter(missing.values()))
