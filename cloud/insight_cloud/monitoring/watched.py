# SPDX-License-Identifier: Apache-2.0
"""What windows of a bundle are compared with: its reference, and the rows that made it.

The counts come from the bundle's manifest, the rows from the model's version in the
registry. Nothing is judged here.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from insight_cloud.platform.blobs import Blobs
from insight_cloud.platform.errors import NotFoundError
from insight_cloud.registry.rules import ModelVersion
from insight_cloud.registry.service import Registry
from insight_cloud.telemetry.rules import known_bundle
from insight_edge.bundle.npz import arrays_from_npz
from insight_edge.documents.codec import decode_json
from insight_edge.documents.manifest import Manifest, ModelInfo
from insight_edge.documents.statistics import grid_from_document, summary_from_document
from insight_edge.documents.steps import Feature, Observe
from insight_edge.errors import DocumentError
from insight_edge.stats.assess import Reference
from insight_edge.stats.distance import cells_from_summary, count_cells, join_cells
from insight_edge.stats.finding import Trait
from insight_edge.stats.grid import Grid
from insight_edge.stats.summary import Summary

REFERENCE_ROWS = "reference.npz"
"""The artifact of a version; `rows` f8[rows, features] in the order of time and their `names`."""

ACCURACY = "accuracy"
MAX_ROWS_BYTES = 512 * 1024 * 1024
MAX_ARRAYS = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class Watched:
    """A bundle as far as it can be watched.

    Attributes:
        reference: None where it has none.
        grid: of the tested features.
        rows: f8[rows, features] of these, in the order of time; None where they are not known.
        reason: why they are not.
        accuracy: at the evaluation of the version.
    """

    bundle: str
    model: ModelInfo
    reference: Reference | None = None
    grid: Grid | None = None
    rows: NDArray[np.float64] | None = None
    reason: str = ""
    accuracy: float | None = None


def watch(bundle: str, blobs: Blobs, registry: Registry) -> Watched:
    """Return what is known of a bundle.

    Raises:
        NotFoundError, DocumentError: its manifest is not there, or is none.
        StorageError: something cannot be read.
    """
    manifest = decode_json(Manifest, blobs.get(bundle))
    reference = _reference(manifest)
    if reference is None:
        return Watched(bundle=bundle, model=manifest.model, reason="the bundle has no reference")
    label = f"{manifest.model.name}:{manifest.model.version}"
    try:
        version = registry.version(manifest.model.name, manifest.model.version)
    except NotFoundError:
        reason = f"{label} is not in the registry"
        return Watched(bundle=bundle, model=manifest.model, reference=reference, reason=reason)
    grid = _tested_grid(reference)
    rows, reason = _rows(version, registry, reference, grid)
    return Watched(
        bundle=bundle,
        model=manifest.model,
        reference=reference,
        grid=grid,
        rows=rows,
        reason=reason,
        accuracy=version.metrics.get(ACCURACY),
    )


def _reference(manifest: Manifest) -> Reference | None:
    if manifest.reference is None:
        return None
    grid = grid_from_document(manifest.reference.grid)
    whole = summary_from_document(manifest.reference.summary, grid)
    known = known_bundle(manifest)
    sides = [part for part in (known.inputs, known.outputs) if part is not None]
    if not sides:
        return None
    return Reference(
        summaries=tuple(_part(whole, part) for part in sides),
        traits=_traits(manifest.observe),
        classes=manifest.model.classes,
    )


def _part(whole: Summary, grid: Grid) -> Summary:
    """Return what a summary says of the features of a part of its grid."""
    chosen = [whole.grid.names.index(name) for name in grid.names]
    return Summary(
        grid=grid,
        count=whole.count,
        missing=whole.missing[chosen],
        below=whole.below[chosen],
        above=whole.above[chosen],
        bins=whole.bins[chosen, : grid.bins],
        sums=whole.sums[chosen],
        squares=whole.squares[chosen],
        minimum=whole.minimum[chosen],
        maximum=whole.maximum[chosen],
    )


def _traits(observe: Observe) -> tuple[Trait, ...]:
    def trait(feature: Feature, *, is_input: bool) -> Trait:
        return Trait(
            name=feature.name,
            side="input" if is_input else "output",
            tensor=feature.tensor,
            measure=feature.measure,
            channel=feature.index if feature.measure != "value" else None,
        )

    return (
        *(trait(feature, is_input=True) for feature in observe.inputs),
        *(trait(feature, is_input=False) for feature in observe.outputs),
    )


def _tested_grid(reference: Reference) -> Grid:
    grids = [summary.grid for summary in reference.summaries]
    names = [name for grid in grids for name in grid.names]
    chosen = [names.index(name) for name in reference.tested]
    return Grid(
        names=reference.tested,
        low=np.concatenate([grid.low for grid in grids])[chosen],
        cell=np.concatenate([grid.cell for grid in grids])[chosen],
        lookup=np.vstack([grid.lookup for grid in grids])[chosen],
    )


def _rows(
    version: ModelVersion, registry: Registry, reference: Reference, grid: Grid
) -> tuple[NDArray[np.float64] | None, str]:
    """Return the rows of the tested features, or None and why not."""
    try:
        data = registry.artifact(version, REFERENCE_ROWS)
        arrays = arrays_from_npz(data, max_bytes=MAX_ROWS_BYTES, max_arrays=MAX_ARRAYS)
        names = [str(name) for name in arrays["names"]]
        rows = np.asarray(arrays["rows"], np.float64)[:, [names.index(name) for name in grid.names]]
    except NotFoundError:
        return None, f"{version.label} has no reference rows"
    except (DocumentError, KeyError, ValueError, IndexError) as error:
        return None, f"the reference rows of {version.label} cannot be read: {error}"
    if not _made(reference, grid, rows):
        return None, f"the reference rows of {version.label} are not those of the bundle"
    return rows, ""


def _made(reference: Reference, grid: Grid, rows: NDArray[np.float64]) -> bool:
    """Return whether the rows are those that the reference counted."""
    counted = join_cells([cells_from_summary(summary) for summary in reference.summaries])
    both = join_cells([counted.pick(grid.names), count_cells(grid, rows)]).counts
    return np.array_equal(both[: len(grid.names)], both[len(grid.names) :])
