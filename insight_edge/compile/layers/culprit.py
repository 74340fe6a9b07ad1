# SPDX-License-Identifier: Apache-2.0
"""Which layer a compiler builds wrong, where its artifacts show nothing inside.

Parts of the source model are built again as the artifact was, and asked. Which
parts are is for `compile.layers.bisection` to say, how for `compile.layers.rebuilding`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from insight_edge.compile.building.preparation import own_file
from insight_edge.compile.graph.cut import cuts_of, inputs_of
from insight_edge.compile.layers.bisection import Located, locate
from insight_edge.compile.layers.divergence import LayerError
from insight_edge.compile.layers.layer_report import LayerReport
from insight_edge.compile.layers.rebuilding import Arrays, Rebuilding
from insight_edge.compile.plugins.discovery import backends
from insight_edge.compile.sources.source import SourceModel
from insight_edge.compile.toolchains.toolchain import Toolchain
from insight_edge.documents.facts import Missing
from insight_edge.documents.target import Target

AGREES = (
    "built again the whole model agrees, so that this toolchain does not make the fault: it is in "
    "the artifact's own bytes, or in what it was tuned or calibrated with"
)
OTHER_CONVERTER = (
    "it was converted from the program itself, not from ONNX, so that parts of the ONNX would be "
    "built by another converter"
)

Compare = Callable[[Arrays], tuple[LayerError, ...]]


def rebuilding_toolchain(source: SourceModel, target: Target) -> Toolchain | str:
    """Return what parts of a model can be built in as a target was, or why nothing can."""
    if own_file(source, target) is not None:
        return OTHER_CONVERTER
    backend = backends().get(target.backend)
    if backend is None:
        return f"there is no backend '{target.backend}' to build parts of the model with"
    found = backend if isinstance(backend, Missing) else backend.toolchain()
    if isinstance(found, Missing):
        return f"to build parts of the model again, {found.name} is missing: {found.reason}"
    return found


def find_culprit(
    outputs: LayerReport, rebuilding: Rebuilding, order: Sequence[str], compare: Compare
) -> LayerReport:
    """Return what building parts again finds of an artifact whose outputs diverge.

    Args:
        outputs: what its outputs say.
        rebuilding: builds the parts.
        order: names of the source model's tensors, in order.
        compare: tensors with the source model's.

    Raises:
        StorageError: the disk is full or cannot be written.
    """

    def ask(tensors: Sequence[str]) -> Mapping[str, LayerError] | None:
        found = rebuilding.answers(tensors)
        return None if found is None else {error.tensor: error for error in compare(found)}

    model, values = rebuilding.model, rebuilding.values
    cuts = cuts_of(model, values)
    located = locate(cuts, inputs_of(model, values), ask) if cuts else None
    return replace(
        _reported(outputs, located, rebuilding, order),
        builds=rebuilding.builds,
    )


def _reported(
    outputs: LayerReport, located: Located | None, rebuilding: Rebuilding, order: Sequence[str]
) -> LayerReport:
    failed = "; ".join(rebuilding.failures[-1:])
    if located is None:
        return replace(outputs, why=f"the whole model cannot be built again: {failed}")
    if located.first is None:
        return replace(outputs, why=AGREES if outputs.first else "")
    errors = tuple(located.seen[name] for name in order if name in located.seen)
    lost = f"; {len(rebuilding.failures)} parts could not be built, {failed}" if failed else ""
    unsure = f"not all that the layer takes could be compared{lost}"
    return replace(
        outputs,
        errors=errors,
        first=located.first,
        found="rebuilt",
        why="" if located.sure else unsure,
    )
