# SPDX-License-Identifier: Apache-2.0
"""Verb `inspect`: what is in a bundle and what became of every trial, or what a model asks."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.markup import escape

from insight_edge.bundle.limits import MANIFEST_NAME
from insight_edge.bundle.open import Bundle, open_bundle
from insight_edge.cli.executed import executed
from insight_edge.cli.layers import (
    describe_artifact,
    describe_graph,
    describe_layers,
    emit_layers,
)
from insight_edge.cli.model import show_model, specs_line
from insight_edge.cli.screen import Format, emit_json, out
from insight_edge.cli.trials import emit_trials
from insight_edge.documents.evidence import Evidence


def inspect_(
    bundle: Path,
    *,
    layers: Annotated[bool, Parameter(negative="")] = False,
    trust_pickle: Annotated[bool, Parameter(negative="")] = False,
    format: Format = "table",  # noqa: A002 - the flag is --format
) -> None:
    """Show a bundle: model, graph, variants and what they execute, and the trials behind them.

    Every digest is compared on the way; the bundle need not be signed. What a variant
    executes is asked of its engine, on one batch of the golden rows. Of a model file: what
    its graph asks of hardware; nothing is built.

    Args:
        bundle: directory of the bundle, or a model that `compile` reads.
        layers: print every layer that is executed, with its precision and place, instead of the
            trials; of a model every operator.
        trust_pickle: let code in a model's file run.
        format: table, json (manifest, evidence and layers), csv or md (the trials, or the layers).
    """
    if not (bundle / MANIFEST_NAME).exists() and bundle.exists():
        from insight_edge.compile.reading import is_model, read_source

        if is_model(bundle):
            source = read_source(bundle, trust_pickle=trust_pickle)
            show_model(source, format, layers=layers)
            return
    opened = open_bundle(bundle, allow_unsigned=True)
    evidence = opened.evidence()
    looked = layers or format in {"table", "json"}
    found = {v.name: executed(opened, v) for v in opened.manifest.variants} if looked else {}
    if format == "json":
        told = {
            name: one.layers if one.layers is not None else one.why for name, one in found.items()
        }
        document = {"digest": opened.digest, "manifest": opened.manifest, "evidence": evidence}
        emit_json(document | {"layers": told})
        return
    if format == "table":
        _describe(opened, evidence)
        describe_graph(evidence.workload)
        for variant in opened.manifest.variants:
            describe_artifact(variant)
            one = found[variant.name]
            describe_layers(one.layers, one.why)
    if layers:
        for name, one in found.items():
            emit_layers(name, one.layers or (), format)
        return
    emit_trials(evidence.trials, format, title="Trials")


def _describe(opened: Bundle, evidence: Evidence) -> None:
    manifest = opened.manifest
    model = manifest.model
    size = sum(file.length_bytes for variant in manifest.variants for file in variant.files)
    facts: list[tuple[str, str]] = [
        ("bundle", opened.digest),
        ("model", f"{model.name} version {model.version}, {model.task}"),
        ("profile", manifest.profile),
        ("inputs", specs_line(manifest.io.inputs)),
        ("pre", " → ".join(step.op for step in manifest.pre) or "none"),
        ("in the graph", " → ".join(step.op for step in manifest.fused) or "none"),
        ("post", " → ".join(step.op for step in manifest.post) or "none"),
        ("outputs", specs_line(manifest.io.outputs)),
        ("golden", f"{manifest.golden.rows} rows of {manifest.golden.source}"),
        ("reference", f"{manifest.reference.rows} rows" if manifest.reference else "none"),
        ("variants", ", ".join(f"{v.name} ({v.role})" for v in manifest.variants)),
        ("artifacts", f"{size / 2**20:.2f} MiB"),
        ("evidence", _measured_on(evidence)),
        ("signed", "yes" if opened.signed else "no"),
        ("made by", manifest.provenance.reproduce or "-"),
    ]
    for name, value in facts:
        out.print(f"[bold]{name:10}[/] {escape(value)}", soft_wrap=True)


def _measured_on(evidence: Evidence) -> str:
    host = evidence.measured_on
    by = evidence.measured_by or "the machine that compiled"
    return f"of {by}: {host.cpu_model}, {host.cores} cores"
