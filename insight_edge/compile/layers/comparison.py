# SPDX-License-Identifier: Apache-2.0
"""A source model on some rows beside an artifact of it: what both have is compared.

The source model runs here, the artifact in its device's environment. Which tensors
can be compared depends on what its engine still knows by name.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import onnx
from numpy.typing import NDArray
from onnx import ModelProto

from insight_edge.bench.insides import ask_made, ask_outputs, look_inside
from insight_edge.bundle.open import Bundle
from insight_edge.compile.layers.divergence import (
    ENOUGH_DB,
    LayerError,
    SourceTensor,
    compare_layers,
    first_diverged,
    worst_row,
)
from insight_edge.compile.layers.program_tensors import program_tensors
from insight_edge.compile.layers.source_tensors import rows_that_fit, source_order, source_tensors
from insight_edge.compile.sources.fusing import with_steps
from insight_edge.compile.sources.source import Original, SourceModel
from insight_edge.compile.toolchains.environments import device_python
from insight_edge.documents.manifest import Manifest, Variant
from insight_edge.errors import ConfigurationError
from insight_edge.runtime.insides import model_rows

Arrays = dict[str, NDArray[Any]]

MOST_CONFIRMED = 16
"""Layers that are looked at once more; each takes as long as a load."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A source model on some rows, and what a variant of it is compared by."""

    bundle: Bundle
    variant: Variant
    model: ModelProto
    order: tuple[SourceTensor, ...]
    values: Arrays
    fed: Arrays
    enough_db: float

    @property
    def outputs(self) -> dict[str, tuple[str, ...]]:
        """What the artifact may call each output of numbers."""
        named = _outputs(self.bundle.manifest, self.variant)
        return {name: aliases for name, aliases in named.items() if name in self.values}

    def compared(self, tensors: Arrays) -> tuple[LayerError, ...]:
        """Return the errors of tensors that both have."""
        return compare_layers(self.order, self.values, tensors, enough_db=self.enough_db)

    def read(self, names: Collection[str] | None = None) -> Arrays | None:
        """Return tensors of the artifact; None where its engine does not show them."""
        wanted = {one.name: one.aliases for one in self.order if one.name in self.values}
        wanted |= self.outputs
        return look_inside(
            self.bundle.path,
            self.variant.name,
            python=device_python(self.variant.target.backend),
            inputs=self.fed,
            wanted={name: wanted[name] for name in (wanted if names is None else names)},
        ).tensors

    def confirmed(self, tensors: Arrays) -> tuple[LayerError, ...]:
        """Return the errors of tensors inside, the first that diverged being read by itself.

        Showing several tensors may undo an engine's fusions, or bring out a fault of its own.
        """
        errors, confirmed = self.compared(tensors), set[str]()
        while len(confirmed) < MOST_CONFIRMED:
            first = first_diverged(errors)
            if first is None or first.tensor in confirmed:
                break
            confirmed.add(first.tensor)
            tensors |= self.read([first.tensor]) or {}
            errors = self.compared(tensors)
        return errors

    def of_program(self, original: Original) -> "Comparison":
        """Return the comparison with the program that the model was converted from.

        Raises:
            ModelError: the program fails on the rows.
        """
        order, values = program_tensors(original, self.fed)
        return replace(self, order=order, values=values)

    def of_row(self, answers: Arrays) -> "Comparison":
        """Return the comparison on the one row whose answers are worst; of a fixed batch on all.

        Inside a model rows need not come first, so that what was made row by row cannot be joined.
        """
        if isinstance(self.bundle.manifest.io.model_inputs[0].shape[0], int):
            return self
        row = worst_row(self.values, answers)
        fed = {name: array[row : row + 1] for name, array in self.fed.items()}
        return replace(self, fed=fed, values=source_tensors(self.model, self.order, fed))

    def made(self) -> Arrays | None:
        """Return what the artifact's steps make, by names of its own; None where none are shown."""
        python = device_python(self.variant.target.backend)
        return ask_made(self.bundle.path, self.variant.name, python=python, inputs=self.fed)

    def answered(self) -> Arrays:
        """Return the artifact's outputs."""
        python = device_python(self.variant.target.backend)
        return ask_outputs(self.bundle.path, self.variant.name, python=python, inputs=self.fed)


def comparison_of(
    bundle: Bundle,
    variant: Variant,
    source: SourceModel,
    *,
    rows: Mapping[str, NDArray[Any]] | None = None,
    enough_db: float | None = None,
) -> Comparison:
    """Return a source model on rows, for comparing a variant with it.

    Args:
        bundle: that the variant is in.
        variant: whose artifact.
        source: that the bundle was made of.
        rows: as callers pass them, the first are taken; the golden rows for None.
        enough_db: below this a layer has diverged; what is usual for the precision for None.

    Raises:
        ConfigurationError: the bundle was made of another model.
        ModelError: the source model fails on the rows.
    """
    _refuse_other_model(bundle, source)
    manifest = bundle.manifest
    if manifest.fused:
        source = with_steps(source, manifest.fused, manifest.io.model_inputs[0])
    count = min(rows_that_fit(source), _count(rows or bundle.golden().inputs))
    fed = model_rows(bundle, count, rows=rows)
    model = onnx.load_from_string(source.data)
    order = source_order(model)
    enough = ENOUGH_DB[variant.target.precision] if enough_db is None else enough_db
    return Comparison(
        bundle=bundle, variant=variant, model=model, order=order,
        values=source_tensors(model, order, fed), fed=fed, enough_db=enough,
    )  # fmt: skip


def _refuse_other_model(bundle: Bundle, source: SourceModel) -> None:
    if source.digest != bundle.manifest.model.digest:
        raise ConfigurationError(
            f"the bundle was made of model {bundle.manifest.model.digest[:19]}, "
            f"this one is {source.digest[:19]}",
            hint="name the file that was compiled",
        )


def _outputs(manifest: Manifest, variant: Variant) -> dict[str, tuple[str, ...]]:
    """Return what an artifact calls the outputs, where its settings say."""
    names = (spec.name for spec in manifest.io.model_outputs)
    return {
        name: (*([told] if (told := variant.settings.get(f"output.{name}")) else []), name)
        for name in names
    }


def _count(rows: Mapping[str, NDArray[Any]]) -> int:
    return len(next(iter(rows.values())))
