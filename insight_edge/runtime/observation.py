# SPDX-License-Identifier: Apache-2.0
"""What a manifest asks the device to count: features, and the grid they are counted over.

Two sides, inputs and outputs, each with the part of the reference's grid that
belongs to its features. A side without a reference, or with a tensor whose
rows have no fixed shape, is not counted. This module keeps no row.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from insight_edge.documents.manifest import Manifest, Reference
from insight_edge.documents.statistics import GridDocument, grid_from_document
from insight_edge.documents.steps import Feature
from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import DocumentError
from insight_edge.runtime.lane import observable, row_shape
from insight_edge.runtime.result import Flags
from insight_edge.stats.grid import Grid
from insight_edge.transforms.executor import infer_specs
from insight_edge.transforms.features import Extractor
from insight_edge.transforms.sampling import Sampling

Rows = NDArray[np.float64]
Tensors = Mapping[str, NDArray[Any]]


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """The features of the inputs, or of the outputs.

    Attributes:
        specs: the tensors they read, as they are kept: sampled.
        sampling: of them; None where all are read whole.
        document: the columns of the reference's grid that are theirs, in order.
        grid: the same, to count over.
        extractor: of the features.
    """

    features: tuple[Feature, ...]
    specs: tuple[TensorSpec, ...]
    document: GridDocument
    grid: Grid
    extractor: Extractor
    sampling: Sampling | None = None

    def look(self, tensors: Tensors, number: int) -> Rows:
        """Return f8[rows, features] of the tensors of the call with this number."""
        if self.sampling is not None:
            tensors = self.sampling.joined(tensors, number)
        return self.rows(tensors)

    def tensors(self, kept: Sequence[bytes]) -> dict[str, NDArray[Any]]:
        """Return the tensors whose rows were kept as bytes."""
        return {
            spec.name: np.frombuffer(rows, spec.dtype).reshape(-1, *row_shape(spec))
            for spec, rows in zip(self.specs, kept, strict=True)
        }

    def rows(self, tensors: Tensors) -> Rows:
        """Return f8[rows, features] of tensors that were kept."""
        return self.extractor.rows(tensors)

    def unusual(self, rows: Rows) -> NDArray[np.bool_]:
        """Return for each row whether a feature is NaN or outside the grid's cells."""
        with np.errstate(all="ignore"):
            # The tally's own arithmetic: a row is flagged exactly when it counts one outside.
            cell = (rows - self.grid.low) / self.grid.cell
        usual = (cell >= 0) & (cell < self.grid.cells)
        return np.logical_not(usual.all(axis=1))


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """Both sides, and where input features look.

    Attributes:
        raw: input features read what the caller passed, not what the model is fed.
    """

    raw: bool
    inputs: Side | None
    outputs: Side | None

    @property
    def sample(self) -> Callable[[Tensors, int], Tensors] | None:
        """Takes what is kept of the tensors of a call by its number; None for all of them."""
        sampling = None if self.inputs is None else self.inputs.sampling
        return None if sampling is None else sampling.blocks

    def judge(self, tensors: Tensors, number: int = 0) -> Flags:
        """Return the flags of the tensors that input features read, of the call so numbered."""
        if self.inputs is None:
            return Flags.INPUT_NAN if any(map(_has_nan, tensors.values())) else Flags.NONE
        rows = self.inputs.look(tensors, number)
        missing = np.isnan(rows)
        flags = Flags.INPUT_NAN if missing.any() else Flags.NONE
        present = np.where(missing, self.inputs.grid.low, rows)
        return flags | (Flags.OUT_OF_RANGE if self.inputs.unusual(present).any() else Flags.NONE)


def observation_from_manifest(manifest: Manifest) -> Observation:
    """Return what the manifest asks to be counted.

    Raises:
        DocumentError: a feature reads a tensor that is not there, or the reference lacks it.
        ConfigurationError: a step of `post` cannot be applied, or a tensor not be sampled.
    """
    io, asked = manifest.io, manifest.observe
    raw = asked.stage == "raw"
    before = io.inputs if raw else io.model_inputs
    known = infer_specs(manifest.pre, io.inputs)
    after = infer_specs(manifest.post, (*known, *io.model_outputs))
    return Observation(
        raw=raw,
        inputs=_side(asked.inputs, before, manifest.reference, asked.strides),
        outputs=_side(asked.outputs, after, manifest.reference, {}),
    )


def _side(
    features: Sequence[Feature],
    specs: Sequence[TensorSpec],
    reference: Reference | None,
    strides: Mapping[str, int],
) -> Side | None:
    by_name = {spec.name: spec for spec in specs}
    for feature in features:
        if feature.tensor not in by_name:
            raise DocumentError(f"observe: '{feature.name}' reads no tensor '{feature.tensor}'")
    read = tuple(by_name[name] for name in dict.fromkeys(f.tensor for f in features))
    if reference is None or not read or not all(map(observable, read)):
        return None
    document = _columns(features, reference.grid)
    sampling = Sampling(strides, features, read)
    return Side(
        features=tuple(features),
        specs=sampling.specs(read),
        document=document,
        grid=grid_from_document(document),
        extractor=Extractor(features, sampling.names),
        sampling=sampling if strides else None,
    )


def _columns(features: Sequence[Feature], grid: GridDocument) -> GridDocument:
    columns = {column.name: column for column in grid.columns}
    for feature in features:
        if feature.name not in columns:
            raise DocumentError(f"observe: '{feature.name}' is not in the reference's grid")
    return GridDocument(cells=grid.cells, columns=tuple(columns[f.name] for f in features))


def _has_nan(array: NDArray[Any]) -> bool:
    return array.dtype.kind == "f" and bool(np.isnan(array).any())
