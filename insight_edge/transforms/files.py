# SPDX-License-Identifier: Apache-2.0
"""Files as rows of an array: what callers pass where the first step decodes."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from insight_edge.documents.tensors import TensorSpec


def rows_from_files(files: Sequence[bytes]) -> NDArray[np.uint8]:
    """Return uint8 (files, bytes of the longest): a file a row, zeros after its end."""
    rows = np.zeros((len(files), max(map(len, files), default=0)), np.uint8)
    for row, data in zip(rows, files, strict=True):
        row[: len(data)] = np.frombuffer(data, np.uint8)
    return rows


def takes_files(spec: TensorSpec) -> bool:
    """Return whether an input is declared as `rows_from_files` writes it."""
    return spec.dtype == "uint8" and len(spec.shape) == 2 and isinstance(spec.shape[1], str)
