# SPDX-License-Identifier: Apache-2.0
"""Verb `inspect`: what is in a bundle, and what became of every trial."""

from pathlib import Path
from typing import Any

from rich.markup import escape

from insight_edge.bundle.open import Bundle, open_bundle
from insight_edge.cli.screen import Format, emit_json, out
from insight_edge.cli.trials import emit_trials


def inspect_(bundle: Path, *, format: Format = "table") -> None:  # noqa: A002 - the flag is --format
    """Show a bundle: model, inputs and outputs, variants, and the trials behind them.

    Every digest is compared on the way; the bundle need not be signed.

    Args:
        bundle: directory of the bundle.
        format: table, json (the manifest and the evidence), csv or md (the trials).
    """
    opened = open_bundle(bundle, allow_unsigned=True)
    evidence = opened.evidence()
    if format == "json":
        emit_json({"digest": opened.digest, "manifest": opened.manifest, "evidence": evidence})
        return
    if format == "table":
        _describe(opened)
    emit_trials(evidence.trials, format, title="Trials")


def _describe(opened: Bundle) -> None:
    manifest = opened.manifest
    model = manifest.model
    size = sum(file.length_bytes for variant in manifest.variants for file in variant.files)
    facts: list[tuple[str, str]] = [
        ("bundle", opened.digest),
        ("model", f"{model.name} version {model.version}, {model.task}"),
        ("profile", manifest.profile),
        ("inputs", _specs(manifest.io.inputs)),
        ("pre", " → ".join(_name(step) for step in manifest.pre) or "none"),
        ("post", " → ".join(_name(step) for step in manifest.post) or "none"),
        ("outputs", _specs(manifest.io.outputs)),
        ("golden", f"{manifest.golden.rows} rows of {manifest.golden.source}"),
        ("reference", f"{manifest.reference.rows} rows" if manifest.reference else "none"),
        ("variants", ", ".join(f"{v.name} ({v.role})" for v in manifest.variants)),
        ("artifacts", f"{size / 2**20:.2f} MiB"),
        ("signed", "yes" if opened.signed else "no"),
        ("made by", manifest.provenance.reproduce or "-"),
    ]
    for name, value in facts:
        out.print(f"[bold]{name:10}[/] {escape(value)}", soft_wrap=True)


def _specs(specs: Any) -> str:
    return ", ".join(f"{s.name} {s.dtype} ({', '.join(map(str, s.shape))})" for s in specs)


def _name(step: Any) -> str:
    return type(step).__name__.lower()
