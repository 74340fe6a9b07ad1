# SPDX-License-Identifier: Apache-2.0
"""What a labelled data set is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from insight_edge.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """Some rows of a data set.

    Attributes:
        rows: their indices in the whole, in the order of the arrays.
        inputs: one row an original, as a device would pass it.
        labels: int64 indices into the classes.
    """

    rows: tuple[int, ...]
    inputs: NDArray[np.generic]
    labels: NDArray[np.int64]

    def first(self, limit: int | None) -> "Split":
        """Return the first `limit` rows; all of them for None.

        Raises:
            ConfigurationError: there are fewer.
        """
        if limit is not None and not 0 < limit <= len(self.rows):
            raise ConfigurationError(f"limit = {limit}, but the split has {len(self.rows)} rows")
        return Split(rows=self.rows[:limit], inputs=self.inputs[:limit], labels=self.labels[:limit])

    def then(self, other: "Split | None") -> "Split":
        """Return these rows and then the other's; the indices are no longer those of one whole."""
        if other is None:
            return self
        return Split(
            rows=self.rows + other.rows,
            inputs=np.concatenate([self.inputs, other.inputs]),
            labels=np.concatenate([self.labels, other.labels]),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """Labelled rows in disjoint splits.

    Attributes:
        input_name: what callers of `infer` call the input.
        peak: the largest value that an element of the input can have.
        classes: what label i means.
        splits: by name; `train` and `validation` in all of them.
    """

    name: str
    input_name: str
    peak: float
    classes: tuple[str, ...]
    splits: dict[str, Split]
