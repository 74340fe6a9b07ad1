# SPDX-License-Identifier: Apache-2.0
"""How a bundle came to be, as its manifest tells it: from what, by what, in what, on what."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from insight_edge import __version__
from insight_edge.compile.building.location import Site
from insight_edge.compile.plugins.code_digest import code_digest
from insight_edge.compile.plugins.discovery import backend_plugin
from insight_edge.compile.quantize.calibration import Calibration
from insight_edge.compile.sources.source import SourceModel
from insight_edge.compile.toolchains.environments import lock_digest
from insight_edge.compile.toolchains.toolchain import Toolchain
from insight_edge.documents.facts import Facts
from insight_edge.documents.manifest import Provenance


def provenance_of(
    model: Path,
    source: SourceModel,
    sites: Mapping[str, Site],
    calibration: Calibration | None,
    facts: Facts,
) -> Provenance:
    """Return all but the command and the time.

    Args:
        model: the file that was handed in.
        source: what an importer made of it.
        sites: where those were built whose artifacts are shipped, by token of the backend.
        calibration: the rows that builds had, if any.
        facts: of the machine that built.
    """
    used = sorted(sites)
    found = {token: sites[token].toolchain for token in used}
    return Provenance(
        toolchain={name: text for one in found.values() for name, text in one.versions.items()},
        lock_digests={token: lock_digest(f"device-{token}") for token in used},
        toolchain_locks={token: one.lock for token, one in found.items() if one.lock},
        code_digests={token: _code(token, one) for token, one in found.items()},
        release=__version__,
        importer=source.importer,
        source_digest=_file_digest(model),
        calibration_digest=calibration.digest if calibration else "",
        processor=processor_of(facts),
    )


def processor_of(facts: Facts) -> str:
    """Return a machine in a few words: its architecture and processor."""
    return f"{facts.arch}, {facts.cpu_model}"


def _code(token: str, toolchain: Toolchain) -> str:
    return code_digest(backend_plugin(token)) if toolchain.code is None else toolchain.code


def _file_digest(path: Path) -> str:
    """Return `sha256:…`, empty where it is no file, or gone by now."""
    try:
        with path.open("rb") as file:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    except OSError:
        return ""
