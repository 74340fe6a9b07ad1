# SPDX-License-Identifier: Apache-2.0
"""How far an artifact is from its source model layer by layer, by whatever shows it.

Its own tensors where the engine shows them by name, else what its steps make by
value (`compile.layers.matching`), else its outputs; where these diverge, parts of the model
are built again (`compile.layers.culprit`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from numpy.typing import NDArray

from insight_edge.bundle.open import Bundle
from insight_edge.compile.building.location import BuildLocation
from insight_edge.compile.layers.comparison import Comparison, comparison_of
from insight_edge.compile.layers.culprit import find_culprit, rebuilding_toolchain
from insight_edge.compile.layers.divergence import LayerError, first_diverged, unhealed
from insight_edge.compile.layers.layer_report import LayerReport
from insight_edge.compile.layers.matching import lost_error, lost_layers, matched
from insight_edge.compile.layers.program_tensors import FORM
from insight_edge.compile.layers.rebuilding import Rebuilding
from insight_edge.compile.sources.source import SourceModel
from insight_edge.compile.toolchains.toolchain import Toolchain
from insight_edge.documents.manifest import Variant


@dataclass(frozen=True, kw_only=True)
class Again:
    """How parts of a model are built again.

    Attributes:
        cache: in which builds are kept, tuned kernels among them; a temporary place for None.
        location: where; in a child process here for None.
        tell: called with a few words before every build.
        always: also where the artifact shows by values where it diverges.
    """

    cache: Path | None = None
    location: BuildLocation | None = None
    tell: Callable[[str], None] = lambda _: None
    always: bool = False


def layer_report(
    bundle: Bundle,
    variant: Variant,
    source: SourceModel,
    *,
    rows: Mapping[str, NDArray[Any]] | None = None,
    enough_db: float | None = None,
    again: Again | None = None,
) -> LayerReport:
    """Return how far an artifact is from its source model after each layer that can be compared.

    Args:
        bundle: that it is in.
        variant: whose artifact.
        source: that the bundle was made of.
        rows: as callers pass them, the first are taken; the golden rows for None.
        enough_db: below this a layer has diverged; what is usual for the precision for None.
        again: how parts of the model are built, where the artifact does not show its layers.

    Raises:
        ConfigurationError: the bundle was made of another model.
        ModelError: the source model fails on the rows.
        InsightEdgeError: the artifact was refused, as on the device.
        StorageError: the disk is full or cannot be written.
    """
    comparison = comparison_of(bundle, variant, source, rows=rows, enough_db=enough_db)
    report = _looked(comparison)
    if report.found == "outputs" and source.original and source.original.form == FORM:
        report = _of_program(comparison.of_program(source.original)) or report
    again = again or Again()
    if report.found == "read" or (report.errors and report.first is None):
        return report
    if report.found == "matched" and not again.always:
        return report
    toolchain = rebuilding_toolchain(source, variant.target)
    if isinstance(toolchain, str):
        return replace(report, why=toolchain)
    return _built_again(comparison, report, toolchain, again)


def _looked(comparison: Comparison) -> LayerReport:
    """Return what the artifact itself shows."""
    tensors, layers = comparison.read(), len(comparison.values)
    if tensors is None:
        return _matched(comparison)
    errors = comparison.confirmed(tensors)
    inside = {error.tensor for error in errors} - comparison.outputs.keys()
    whole = comparison.values.keys() <= comparison.outputs.keys()
    found = LayerReport(errors=errors, first=first_diverged(errors), found="read", layers=layers)
    return found if inside or whole else replace(found, found="outputs")


def _matched(comparison: Comparison) -> LayerReport:
    """Return what the outputs say, and what steps that name no tensor make."""
    answers = comparison.answered()
    errors = comparison.compared(answers)
    outputs = LayerReport(
        errors=errors, first=first_diverged(errors), found="outputs", layers=len(comparison.values)
    )
    one = comparison.of_row(answers)
    made = one.made()
    if made is None:
        return outputs
    seen = matched(one.order, one.values, made, enough_db=one.enough_db)
    by_name = {error.tensor: error for error in (*one.compared(seen), *errors)}
    lost: tuple[LayerError, ...] = ()
    if outputs.first is not None:
        sound = [error.tensor for error in by_name.values() if not error.diverged]
        layers = lost_layers(one.order, one.values, sound)
        lost = tuple(lost_error(o, one.values, made, enough_db=one.enough_db) for o in layers)
    by_name |= {error.tensor: error for error in lost}
    told = tuple(by_name[tensor.name] for tensor in one.order if tensor.name in by_name)
    others = ", ".join(f"'{error.tensor}'" for error in lost[1:])
    return replace(
        outputs,
        errors=told,
        first=lost[0] if lost else outputs.first,
        found="matched",
        why=f"it may as well be {others}" if others else "",
    )


def _of_program(comparison: Comparison) -> LayerReport | None:
    """Return what an artifact shows that knows the names of the program it was made of."""
    tensors = comparison.read()
    if not tensors:
        return None
    errors = unhealed(comparison.order, comparison.confirmed(tensors))
    layers = len(comparison.values)
    return LayerReport(errors=errors, first=first_diverged(errors), found="read", layers=layers)


def _built_again(
    comparison: Comparison, outputs: LayerReport, toolchain: Toolchain, again: Again
) -> LayerReport:
    with TemporaryDirectory(prefix="insight-edge-layers-") as folder:
        rebuilding = Rebuilding(
            variant=comparison.variant,
            model=comparison.model,
            values=comparison.values,
            fed=comparison.fed,
            toolchain=toolchain,
            place=Path(folder),
            cache=again.cache or Path(folder) / "cache",
            tell=again.tell,
            location=again.location,
        )
        order = [one.name for one in comparison.order]
        return find_culprit(outputs, rebuilding, order, comparison.compared)
