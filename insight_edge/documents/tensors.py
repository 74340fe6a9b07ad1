# SPDX-License-Identifier: Apache-2.0
"""What a tensor looks like: name, dtype and shape, with symbolic dimensions by name."""

from insight_edge.documents.codec import Document


class TensorSpec(Document, frozen=True, kw_only=True):
    """One named tensor that goes into or comes out of something.

    Attributes:
        name: what callers and graphs call it.
        dtype: NumPy's name, e.g. `float32`, `uint8`.
        shape: one entry a dimension: its size, or its symbolic name (`batch`).
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]
