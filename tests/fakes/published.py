# SPDX-License-Identifier: Apache-2.0
"""Bundles as a cloud holds them: files by their digest, and manifests beside."""

from collections.abc import Mapping
from pathlib import Path

from insight_edge.bundle.write import write_bundle
from insight_edge.documents.codec import digest
from insight_edge.documents.manifest import Manifest
from tests.fakes.bundles import bundle_files, bundle_manifest


def publish(root: Path, files: Mapping[str, bytes], manifest: Manifest | None = None) -> bytes:
    """Put the files of a bundle into the blob store below `root` and return its manifest."""
    folder = root / "bundle"
    write_bundle(folder, manifest or bundle_manifest(files), files)
    blobs = root / "blobs"
    blobs.mkdir(exist_ok=True)
    for data in files.values():
        (blobs / digest(data).removeprefix("sha256:")).write_bytes(data)
    return (folder / "manifest.json").read_bytes()


def publish_small(root: Path, artifact: bytes) -> bytes:
    """Publish the small bundle with this artifact and return its manifest."""
    return publish(root, bundle_files(artifact))
