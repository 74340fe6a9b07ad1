# SPDX-License-Identifier: Apache-2.0
"""How a bundle came to be, as its manifest tells it: from what, by what, in what, on what."""

import hashlib
from collections.abc import Collection
from pathlib import Path

from insight_edge import __version__
from insight_edge.compile.builds import toolchains
from insight_edge.compile.calibration import Calibration
from insight_edge.compile.code_digest import code_digest
from insight_edge.compile.discovery import backend_plugin
from insight_edge.compile.environments import lock_digest
from insight_edge.compile.source import SourceModel
from insight_edge.documents.facts import Facts
from insight_edge.documents.manifest import Provenance


def provenance_of(
    model: Path,
    source: SourceModel,
    backends: Collection[str],
    calibration: Calibration | None,
    facts: Facts,
) -> Provenance:
    """Return all but the command and the time.

    Args:
        model: the file that was handed in.
        source: what an importer made of it.
        backends: tokens of those whose artifacts are shipped.
        calibration: the rows that builds had, if any.
        facts: of the machine that built.
    """
    used = sorted(backends)
    found = toolchains(set(used))
    return Provenance(
        toolchain={name: text for one in found.values() for name, text in one.versions.items()},
        lock_digests={token: lock_digest(f"device-{token}") for token in used},
        toolchain_locks={token: one.lock for token, one in found.items() if one.lock},
        code_digests={token: code_digest(backend_plugin(token)) for token in used},
        release=__version__,
        importer=source.importer,
        source_digest=_file_digest(model),
        calibration_digest=calibration.digest if calibration else "",
        processor=f"{facts.arch}, {facts.cpu_model}",
    )


def _file_digest(path: Path) -> str:
    """Return `sha256:…`, empty where it is no file, or gone by now."""
    try:
        with path.open("rb") as file:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    except OSError:
        return ""
