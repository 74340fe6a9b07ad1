# SPDX-License-Identifier: Apache-2.0
"""Find what devices count over in the manifests of published bundles."""

from insight_cloud.platform.blobs import Blobs
from insight_cloud.platform.errors import NotFoundError
from insight_cloud.telemetry.rules import FindBundle, KnownBundle, known_bundle
from insight_edge.documents.codec import decode_json
from insight_edge.documents.manifest import Manifest
from insight_edge.errors import DocumentError


def find_in(blobs: Blobs) -> FindBundle:
    """Return what gives the grids and classes of a bundle whose manifest is kept as a blob."""

    def find(bundle: str) -> KnownBundle | None:
        try:
            return known_bundle(decode_json(Manifest, blobs.get(bundle)))
        except (DocumentError, NotFoundError):
            return None

    return find
