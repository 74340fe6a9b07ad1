# SPDX-License-Identifier: Apache-2.0
"""Find importers and backends by entry point; one that cannot load is data, with its reason.

No plug-in is known here by name, and no toolchain is imported.
"""

from importlib.metadata import EntryPoint, entry_points
from typing import Any

from insight_edge.compile.plugins.seam import Backend, Importer
from insight_edge.documents.facts import Missing

IMPORTERS = "insight_edge.importers"
BACKENDS = "insight_edge.backends"


def importers() -> dict[str, Importer | Missing]:
    """Return every declared importer by token."""
    return {point.name: _construct(point) for point in entry_points(group=IMPORTERS)}


def backends() -> dict[str, Backend | Missing]:
    """Return every declared backend by token."""
    return {point.name: _construct(point) for point in entry_points(group=BACKENDS)}


def backend_plugin(token: str) -> str:
    """Return `module:Class` of a declared backend, as a build's child process imports it.

    Raises:
        KeyError: no backend of that token is declared.
    """
    return entry_points(group=BACKENDS)[token].value


def _construct(point: EntryPoint) -> Any:
    try:
        return point.load()()
    except Exception as error:  # noqa: BLE001 (a plug-in may raise anything; it becomes data)
        lines = str(error).strip().splitlines() or [""]
        return Missing(name=point.name, reason=f"{type(error).__name__}: {lines[0]}")
