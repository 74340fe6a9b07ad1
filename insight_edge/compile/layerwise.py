# SPDX-License-Identifier: Apache-2.0
"""Put the same rows through a source model and an artifact, and compare them layer by layer.

The source model runs here, the artifact in its device's environment. Which layers
can be compared depends on what the engine still knows by name; an engine that
shows nothing is said to.
"""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

import onnx
from numpy.typing import NDArray

from insight_edge.bench.insides import look_inside
from insight_edge.bundle.open import Bundle
from insight_edge.compile.divergence import (
    ENOUGH_DB,
    LayerError,
    compare_layers,
    first_diverged,
)
from insight_edge.compile.environments import device_python
from insight_edge.compile.source import SourceModel
from insight_edge.compile.source_tensors import rows_that_fit, source_order, source_tensors
from insight_edge.documents.manifest import Manifest, Variant
from insight_edge.errors import ConfigurationError
from insight_edge.runtime.insides import model_rows

Arrays = dict[str, NDArray[Any]]

MOST_CONFIRMED = 16
"""Layers that are looked at once more; each takes as long as a load."""


def layer_errors(
    bundle: Bundle,
    variant: Variant,
    source: SourceModel,
    *,
    rows: Mapping[str, NDArray[Any]] | None = None,
    enough_db: float | None = None,
) -> tuple[LayerError, ...] | None:
    """Return the error of an artifact after each layer that can be compared, in order.

    Args:
        bundle: that it is in.
        variant: whose artifact.
        source: that the bundle was made of.
        rows: as callers pass them, the first are taken; the golden rows for None.
        enough_db: below this a layer has diverged; what is usual for the precision for None.

    Returns:
        None where the engine does not show what is inside.

    Raises:
        ConfigurationError: the bundle was made of another model.
        ModelError: the source model fails on the rows.
        InsightEdgeError: the artifact was refused, as on the device.
    """
    if source.digest != bundle.manifest.model.digest:
        raise ConfigurationError(
            f"the bundle was made of model {bundle.manifest.model.digest[:19]}, "
            f"this one is {source.digest[:19]}",
            hint="name the file that was compiled",
        )
    count = min(rows_that_fit(source), _count(rows or bundle.golden().inputs))
    fed = model_rows(bundle, count, rows=rows)
    model = onnx.load_from_string(source.data)
    order = source_order(model)
    values = source_tensors(model, order, fed)
    wanted = {one.name: one.aliases for one in order if one.name in values}
    wanted |= _outputs(bundle.manifest, variant)

    def look(names: Collection[str]) -> Arrays | None:
        return look_inside(
            bundle.path,
            variant.name,
            python=device_python(variant.target.backend),
            inputs=fed,
            wanted={name: wanted[name] for name in names},
        ).tensors

    tensors = look(wanted)
    if tensors is None:
        return None
    enough = ENOUGH_DB[variant.target.precision] if enough_db is None else enough_db
    compared = partial(compare_layers, order, values, enough_db=enough)
    return _confirmed(compared, tensors, look)


def _confirmed(
    compared: Callable[[Arrays], tuple[LayerError, ...]],
    tensors: Arrays,
    look: Callable[[Collection[str]], Arrays | None],
) -> tuple[LayerError, ...]:
    """Return the errors, the first that diverged being looked at once more by itself.

    Showing several tensors may undo an engine's fusions, or bring out a fault of its own.
    """
    errors, confirmed = compared(tensors), set[str]()
    while len(confirmed) < MOST_CONFIRMED:
        first = first_diverged(errors)
        if first is None or first.tensor in confirmed:
            break
        confirmed.add(first.tensor)
        tensors |= look([first.tensor]) or {}
        errors = compared(tensors)
    return errors


def _outputs(manifest: Manifest, variant: Variant) -> dict[str, tuple[str, ...]]:
    """Return what an artifact calls the outputs, where its settings say."""
    names = (spec.name for spec in manifest.io.model_outputs)
    return {
        name: (*([told] if (told := variant.settings.get(f"output.{name}")) else []), name)
        for name in names
    }


def _count(rows: Mapping[str, NDArray[Any]]) -> int:
    return len(next(iter(rows.values())))
