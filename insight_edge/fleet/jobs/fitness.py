# SPDX-License-Identifier: Apache-2.0
"""Which variants of a bundle a device can time, and whether it has the memory. Pure."""

from collections.abc import Iterable, Sequence
from typing import Final

from insight_edge.bundle.need import bound_bytes
from insight_edge.documents.facts import Facts
from insight_edge.documents.manifest import Manifest, Variant
from insight_edge.documents.versions import satisfies

PROCESS_BYTES: Final = 128 * 1024 * 1024
"""Of a Python with an engine before it loads anything; each variant has one, and the program that
times them."""


def left_out(manifest: Manifest, asked: Sequence[str], facts: Facts) -> dict[str, str]:
    """Return the variants that are not timed here, by name, and why.

    Args:
        manifest: of the bundle.
        asked: names; none for all.
        facts: of this machine.
    """
    there = {variant.name: variant for variant in manifest.variants}
    reasons = {name: _unfit(there.get(name), facts) for name in asked or there}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def timed(manifest: Manifest, asked: Sequence[str], facts: Facts) -> tuple[Variant, ...]:
    """Return the variants that are timed, in the order in which they are asked for."""
    there = {variant.name: variant for variant in manifest.variants}
    names = asked or tuple(there)
    return tuple(
        there[name] for name in names if name in there and _unfit(there[name], facts) is None
    )


def needed_bytes(variants: Iterable[Variant]) -> int:
    """Return the memory that variants take which are all loaded at once, and what times them."""
    loaded = tuple(variants)
    return (1 + len(loaded)) * PROCESS_BYTES + bound_bytes(loaded)


def _unfit(variant: Variant | None, facts: Facts) -> str | None:
    if variant is None:
        return "the bundle has no such variant"
    token = variant.target.backend
    engine = facts.engines.get(token)
    if engine is None:
        return f"this device has no {token}"
    if not _accepted(engine.version, variant.engine_versions):
        return f"it needs {token} {variant.engine_versions}, this device has {engine.version}"
    lacking = sorted(set(variant.isa) - set(facts.isa))
    return f"it needs {', '.join(lacking)}, which this processor has not" if lacking else None


def _accepted(version: str, wanted: str) -> bool:
    try:
        return satisfies(version, wanted)
    except ValueError:
        return False
