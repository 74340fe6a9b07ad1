# SPDX-License-Identifier: Apache-2.0
"""Which blobs devices may fetch: the files of bundles that are listed, and no others.

The blob store also holds models, training data and samples; being enrolled is
no reason to see those.
"""

from insight_cloud.platform.blobs import Blobs
from insight_cloud.releases.rules import State
from insight_cloud.releases.service import Releases
from insight_edge.bundle.contents import contents
from insight_edge.bundle.limits import Limits
from insight_edge.documents.codec import decode_json
from insight_edge.documents.manifest import Manifest


class ReleasedFiles:
    """The blobs of listed bundles; what a manifest names is remembered."""

    def __init__(self, releases: Releases, blobs: Blobs) -> None:
        self._releases = releases
        self._blobs = blobs
        self._named: dict[str, frozenset[str]] = {}

    def __contains__(self, blob: str) -> bool:
        """Return whether a listed bundle has a file with this digest.

        Raises:
            NotFoundError, DigestMismatchError, StorageError: a manifest cannot be read.
        """
        listed = {one.bundle for one in self._releases.releases() if one.state is State.LISTED}
        self._named = {bundle: self._named.get(bundle) or self._files(bundle) for bundle in listed}
        return any(blob in files for files in self._named.values())

    def _files(self, bundle: str) -> frozenset[str]:
        manifest = decode_json(Manifest, self._blobs.get(bundle))
        return frozenset(f"sha256:{e.sha256}" for e in contents(manifest, Limits()).values())
