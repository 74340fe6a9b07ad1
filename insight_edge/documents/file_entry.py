# SPDX-License-Identifier: Apache-2.0
"""A file of a bundle, as the manifest and its steps name it."""

from insight_edge.documents.codec import Document


class FileEntry(Document, frozen=True, kw_only=True):
    """One file of the bundle.

    Attributes:
        path: a flat name, no directories.
        sha256: 64 hexadecimal digits.
    """

    path: str
    sha256: str
    length_bytes: int
