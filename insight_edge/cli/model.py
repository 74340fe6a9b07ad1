# SPDX-License-Identifier: Apache-2.0
"""What people see of a source model: what its graph asks of hardware."""

from typing import TYPE_CHECKING

from insight_edge.cli.layers import describe_graph, emit_operators, line
from insight_edge.cli.screen import Format, emit_json
from insight_edge.documents.tensors import TensorSpec

if TYPE_CHECKING:
    from insight_edge.compile.sources.source import SourceModel


def show_model(source: "SourceModel", output: Format, *, layers: bool) -> None:
    """Print a model: facts and counted operators, or every operator.

    As JSON both; as CSV and Markdown the operators.
    """
    if output == "json":
        emit_json({"model": source.described.model, "workload": source.workload})
        return
    if output == "table":
        _describe(source)
    if layers or output != "table":
        emit_operators(source.workload, output, title=f"{source.name}: operators")


def _describe(source: "SourceModel") -> None:
    model, workload = source.described.model, source.workload
    line("model", f"{model.name} version {model.version}, {model.task}")
    line("read as", f"{source.importer}, {source.digest}")
    line("inputs", specs_line(workload.inputs))
    line("outputs", specs_line(workload.outputs))
    describe_graph(workload)
    if workload.unknown_ops:
        line("not known", f"the arithmetic of {', '.join(workload.unknown_ops)}")


def specs_line(specs: tuple[TensorSpec, ...]) -> str:
    """Return tensors with type and shape on one line."""
    return ", ".join(f"{s.name} {s.dtype} ({', '.join(map(str, s.shape))})" for s in specs)
