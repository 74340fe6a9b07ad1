# SPDX-License-Identifier: Apache-2.0
"""The part of the verb `verify` that looks inside: where does a variant begin to differ?"""

from collections.abc import Sequence
from pathlib import Path

from rich.markup import escape

from insight_edge.bundle.open import Bundle
from insight_edge.cli.arrays import read_arrays
from insight_edge.cli.layers import emit_errors
from insight_edge.cli.screen import Format, emit_json, err
from insight_edge.compile.divergence import LayerError, first_diverged, worst_layers
from insight_edge.documents.manifest import Variant
from insight_edge.errors import SelfCheckError


def verify_layers(
    bundle: Bundle,
    variants: Sequence[Variant],
    model: Path,
    rows: Path | None,
    output: Format,
    *,
    enough_db: float | None,
    worst: int,
    trust_pickle: bool,
) -> None:
    """Print for each variant the layers that differ most, and the first that diverged.

    Raises:
        SelfCheckError: a layer of a variant has diverged.
        InputError: model, rows and bundle do not belong together.
    """
    from insight_edge.compile.layerwise import layer_errors
    from insight_edge.compile.reading import read_source

    source = read_source(model, trust_pickle=trust_pickle)
    names = [spec.name for spec in bundle.manifest.io.inputs]
    given = None if rows is None else read_arrays(rows, names)
    found: dict[str, tuple[LayerError, ...] | None] = {}
    for variant in variants:
        with err.status(escape(f"looking into {variant.name}")):
            found[variant.name] = layer_errors(
                bundle, variant, source, rows=given, enough_db=enough_db
            )
    if output == "json":
        emit_json({name: _document(errors) for name, errors in found.items()})
    lost = [name for name, errors in found.items() if _say(name, errors, output, worst)]
    if lost:
        raise SelfCheckError(
            f"{', '.join(lost)}: a layer answers otherwise than the source model's",
            hint="compile it anew, or leave that layer in floating point",
        )


def _say(
    name: str, errors: tuple[LayerError, ...] | None, output: Format, worst: int
) -> LayerError | None:
    """Print what was found of one variant and return the first layer that diverged."""
    if errors is None:
        _tell(f"{name}: its engine does not show what is inside; nothing was compared")
        return None
    first = first_diverged(errors)
    if output != "json":
        emit_errors(name, worst_layers(errors, worst) if worst else errors, output, first=first)
    if first is None:
        _tell(f"{name}: none of {len(errors)} layers that can be compared diverges")
    else:
        place = errors.index(first) + 1
        _tell(
            f"{name}: the first to diverge is {first.op} '{first.node}' (tensor '{first.tensor}'), "
            f"{place} of {len(errors)} that can be compared: {first.sqnr_db:.1f} dB"
        )
    return first


def _document(errors: tuple[LayerError, ...] | None) -> dict[str, object]:
    if errors is None:
        return {"compared": None}
    first = first_diverged(errors)
    plain = [{n: getattr(e, n) for n in e.__dataclass_fields__} for e in errors]
    return {"compared": plain, "first": first.tensor if first else None}


def _tell(words: str) -> None:
    err.print(escape(words), soft_wrap=True)
