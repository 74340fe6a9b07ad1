# SPDX-License-Identifier: Apache-2.0
"""Write a version's files into a folder, where `insight-edge compile` reads them."""

from pathlib import Path

from insight_cloud.registry.description import numbered
from insight_cloud.registry.rules import ModelVersion
from insight_cloud.registry.service import Registry
from insight_cloud.training.run import DESCRIPTION
from insight_edge.bundle.durable import replace_file
from insight_edge.errors import StorageError


def export_version(registry: Registry, version: ModelVersion, directory: Path) -> None:
    """Write every artifact of a version under its own name, replacing files that are there.

    The description is recorded before the version has a number; it receives it here.

    Raises:
        NotFoundError: a blob is gone.
        DigestMismatchError: a blob is damaged.
        StorageError: the folder cannot be made or written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{directory}: {error.strerror}") from error
    for artifact in version.artifacts:
        data = registry.artifact(version, artifact.name)
        written = numbered(data, version) if artifact.name == DESCRIPTION else data
        replace_file(directory / artifact.name, written)
