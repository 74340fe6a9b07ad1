# SPDX-License-Identifier: Apache-2.0
"""What serves now, for those who describe it to others."""

import msgspec

from insight_edge.documents.manifest import Manifest


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """The bundle that new callers meet.

    Attributes:
        bundle: digest of its manifest.
        variant: name of the variant that is loaded.
        engine: token of what runs it.
        signed: whether the manifest was signed and checked.
        threads: of the engine for one call.
    """

    bundle: str
    manifest: Manifest
    variant: str
    engine: str
    signed: bool
    threads: int
