# SPDX-License-Identifier: Apache-2.0
"""What people see of the layers of an artifact: where it diverges, and what is executed."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from insight_edge.cli.screen import Format, emit, out
from insight_edge.documents.manifest import Variant
from insight_edge.documents.workload import Workload
from insight_edge.runtime.insides import LayerFacts

if TYPE_CHECKING:
    from insight_edge.compile.layers.divergence import LayerError
    from insight_edge.compile.layers.layer_report import LayerReport

Row = dict[str, Any]

REBUILT = (
    "found by building {} parts of the model again, not in the artifact itself, which names no "
    "tensor inside: it tells what the compiler does"
)


def emit_errors(
    variant: str, shown: Sequence["LayerError"], output: Format, *, first: "LayerError | None"
) -> None:
    """Print layers with their errors; the first that diverged is marked."""
    rows = [
        {
            "": "→" if first is not None and error.tensor == first.tensor else "",
            "variant": variant,
            "tensor": error.tensor,
            "op": error.op,
            "node": error.node,
            "SQNR dB": _ratio(error.sqnr_db),
            "relative": f"{error.relative:.2g}",
            "largest": f"{error.largest:.3g}",
        }
        for error in shown
    ]
    emit(_escaped(rows, output), output, title=f"{variant}: the worst layers")


def describe_report(variant: str, report: "LayerReport") -> list[str]:
    """Return in words what was found of a variant, and how."""
    count = len(report.errors)
    if report.found == "matched":
        seen = f"it names no tensor inside, {count} of {report.layers} layers were told by values"
    elif report.found == "outputs":
        seen = f"it names no tensor inside, its {count} outputs alone were compared"
    else:
        seen = f"{count} of {report.layers} layers were compared"
    said = [f"none diverges: {seen}"]
    if (first := report.first) is not None:
        layer = f"{first.op} '{first.node}' (tensor '{first.tensor}', {first.sqnr_db:.1f} dB)"
        said = [f"the first to diverge is {layer}: {seen}"]
    if report.found == "matched" and first is not None:
        said += ["nothing made of that layer agrees; one that is fused with it may be at fault"]
    if report.found == "rebuilt":
        said += [REBUILT.format(report.builds)]
    return [f"{variant}: {words}" for words in (*said, report.why) if words]


def report_document(report: "LayerReport") -> dict[str, object]:
    """Return what was found of a variant for programs."""
    plain = [{n: getattr(e, n) for n in e.__dataclass_fields__} for e in report.errors]
    return {
        "compared": plain,
        "first": report.first.tensor if report.first else None,
        "found": report.found,
        "layers": report.layers,
        "builds": report.builds,
        "why": report.why,
    }


def emit_layers(variant: str, layers: Sequence[LayerFacts], output: Format) -> None:
    """Print every layer that is executed, if any is known of."""
    if not layers:
        return
    rows = [
        {
            "variant": variant,
            "layer": layer.name,
            "op": layer.op,
            "precision": layer.precision,
            "runs on": layer.placement,
            "time us": layer.time_us,
            "fused": ", ".join(layer.parts),
        }
        for layer in layers
    ]
    emit(_escaped(rows, output), output, title=f"{variant}: what is executed")


def emit_operators(workload: Workload, output: Format, *, title: str) -> None:
    """Print every operator of a source model."""
    rows = [
        {
            "operator": operation.name,
            "op": operation.op,
            "MFLOP": operation.flops / 1e6,
            "reads KiB": operation.read_bytes / 2**10,
            "writes KiB": operation.written_bytes / 2**10,
            "weights KiB": operation.parameter_bytes / 2**10,
        }
        for operation in workload.operations
    ]
    emit(_escaped(rows, output), output, title=title, document=workload)


def row_told(workload: Workload) -> str:
    """Return what a row is to a model that is asked call by call."""
    return f"is one whole call, since {workload.called}"


def describe_graph(workload: Workload | None) -> None:
    """Print what the source model asks, in a few lines."""
    if workload is None:
        line("graph", "not recorded: the bundle was made by an older release")
        return
    if workload.called:
        line("a row", row_told(workload))
    operators = Counter(operation.op for operation in workload.operations)
    line("graph", f"{len(workload.operations)} operators: {_counts(operators)}")
    line(
        "asks",
        f"{workload.flops / 1e6:.3g} MFLOP a row, parameters of "
        f"{workload.parameter_bytes / 2**20:.2f} MiB, "
        f"{workload.peak_live_bytes / 2**20:.2f} MiB alive at once, opset {workload.opset}",
    )


def describe_artifact(variant: Variant) -> None:
    """Print what is written down of a variant's artifact: what it is for, and what it needs."""
    size = sum(file.length_bytes for file in variant.files)
    needs = [f"{variant.target.backend} {variant.engine_versions}".strip(), *variant.isa]
    line(variant.name, f"{variant.target.token}, {size / 2**20:.2f} MiB, needs {', '.join(needs)}")
    if variant.settings:
        line("", ", ".join(f"{name} {value}" for name, value in variant.settings.items()))


def describe_layers(layers: Sequence[LayerFacts] | None, why: str) -> None:
    """Print what a variant executes, counted: operators, precisions, places."""
    if layers is None:
        line("", why)
        return
    line("", f"{len(layers)} steps: {_counts(Counter(layer.op for layer in layers))}")
    line("", f"precision {_counts(Counter(layer.precision for layer in layers))}")
    line("", f"runs on {_counts(Counter(layer.placement for layer in layers))}")


def line(name: str, value: str) -> None:
    """Print one fact."""
    out.print(f"[bold]{name:10}[/] {escape(value)}", soft_wrap=True)


def _ratio(decibels: float) -> str:
    if abs(decibels) < 999:
        return f"{decibels:.1f}"
    return "equal" if decibels > 0 else "none"


def _counts(counted: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counted.most_common())


def _escaped(rows: Sequence[Row], output: Format) -> Sequence[Row]:
    if output != "table":
        return rows
    return [{k: escape(v) if isinstance(v, str) else v for k, v in row.items()} for row in rows]
