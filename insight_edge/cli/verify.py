# SPDX-License-Identifier: Apache-2.0
"""Verb `verify`: is a bundle whole, and does it still answer as it was proven to?"""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from insight_edge.bundle.open import Bundle, open_bundle
from insight_edge.cli.screen import Format, emit
from insight_edge.documents.manifest import Variant
from insight_edge.errors import ConfigurationError, EngineMissingError, SelfCheckError
from insight_edge.runtime.candidate import stage


def verify(
    bundle: Path,
    *,
    variant: str | None = None,
    threads: int = 1,
    layers: Annotated[bool, Parameter(negative="")] = False,
    model: Annotated[Path | None, Parameter(name=["--model", "-m"])] = None,
    calibration: Path | None = None,
    rebuild: Annotated[bool, Parameter(negative="")] = False,
    cache: Path | None = None,
    enough: float | None = None,
    worst: int = 10,
    trust_pickle: Annotated[bool, Parameter(negative="")] = False,
    format: Format = "table",  # noqa: A002 - the flag is --format
) -> None:
    """Compare every digest, then ask each variant for its golden samples.

    With --layers, compare what is inside with the source model instead, layer by
    layer. Where an artifact shows nothing of its layers and its outputs diverge, parts
    of the model are built again until the first layer that diverges is found. Exits 1
    when a variant disagrees or a layer diverges, 2 when the bundle is not whole, 4 when
    no engine of it is installed.

    Args:
        bundle: directory of the bundle.
        variant: only this one; all by default.
        threads: inference threads.
        layers: find the first layer that diverges from the source model, which --model names.
        model: the file that the bundle was compiled from.
        calibration: .npz with rows by input name to compare the layers on; the golden rows by
            default.
        rebuild: build parts of the model again also where the artifact shows by its values where it
            diverges, to tell whether the compiler is at fault and which of fused layers.
        cache: directory in which builds are kept, for layers that have to be built again; kernels
            that were tuned for the bundle are taken from there.
        enough: dB of signal to noise below which a layer has diverged; by default what is usual
            for the precision.
        worst: how many layers to print, the worst first; 0 for all, in order.
        trust_pickle: let code in the model's file run.
        format: how to print.
    """
    opened = open_bundle(bundle, allow_unsigned=True)
    variants = opened.manifest.variants if variant is None else (opened.variant(variant),)
    if layers:
        if model is None:
            raise ConfigurationError(
                "layers are compared with those of the source model",
                hint="name the file that was compiled: --model FILE",
            )
        from insight_edge.cli.verify_layers import verify_layers

        verify_layers(
            opened, variants, model, calibration, format,
            rebuild=rebuild, cache=cache, enough_db=enough, worst=worst, trust_pickle=trust_pickle,
        )  # fmt: skip
        return
    rows = [_check(opened, one, threads) for one in variants]
    emit(rows, format)
    if any(row["verdict"] == "DISAGREES" for row in rows):
        raise SelfCheckError(
            "a variant does not answer as it was proven to",
            hint="compile the bundle again for this machine, or run the other variant",
        )
    if all(row["verdict"] == "MISSING" for row in rows):
        raise EngineMissingError(rows[0]["detail"])


def _check(opened: Bundle, variant: Variant, threads: int) -> dict[str, str]:
    try:
        candidate = stage(opened, variant=variant.name, threads=threads)
    except EngineMissingError as error:
        return {"variant": variant.name, "verdict": "MISSING", "detail": str(error)}
    try:
        candidate.verify(candidate.bundle.golden())
    except SelfCheckError as error:
        return {"variant": variant.name, "verdict": "DISAGREES", "detail": str(error)}
    finally:
        candidate.discard()
    rows = opened.manifest.golden.rows
    return {"variant": variant.name, "verdict": "AGREES", "detail": f"{rows} golden rows"}
