# SPDX-License-Identifier: Apache-2.0
"""Verb `check`: can this model be compiled, for what, and what does it ask of the hardware?

Nothing is built; `compile` plans in the same way and then builds.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from insight_edge.cli.screen import Format, emit, emit_json, out
from insight_edge.compile.discovery import backends
from insight_edge.compile.plan import Planned, offers, plan
from insight_edge.compile.profiles import find_profile, shipped_profiles
from insight_edge.compile.reading import read_source
from insight_edge.documents.tensors import TensorSpec
from insight_edge.documents.workload import Workload
from insight_edge.errors import NothingShippableError, ToolchainMissingError

MIB = 2**20


def check(
    model: Annotated[Path, Parameter(name=["--model", "-m"])],
    *,
    profile: tuple[str, ...] = (),
    trust_pickle: bool = False,
    format: Format = "table",  # noqa: A002 - the flag is --format
) -> None:
    """Read a model and show what can be built from it for which hardware.

    INT8 is shown as if there were rows to calibrate with. CSV, which holds one table, has the
    targets alone. Exits 1 when nothing can be built, 2 when the model cannot be read, 4 when
    all that could be built lacks its toolchain.

    Args:
        model: an ONNX file, or what an importer reads.
        profile: id or TOML file of a hardware profile, repeatable; all shipped ones by default.
        trust_pickle: let code in the model file run.
        format: how to print.
    """
    source = read_source(model, trust_pickle=trust_pickle)
    profiles = [find_profile(p) for p in profile] or list(shipped_profiles().values())
    found = backends()
    plans = {p.id: plan(offers(found, source, p), p, calibrated=True) for p in profiles}
    rows = [_row(name, planned) for name, entries in plans.items() for planned in entries]
    if format == "json":
        emit_json({"workload": source.workload, "targets": rows})
    else:
        _show(source.workload, rows, format)
    _refuse_nothing([planned for entries in plans.values() for planned in entries])


def _show(workload: Workload, rows: Sequence[dict[str, Any]], output: Format) -> None:
    if output != "csv":
        emit(_summary(workload), output, title="Workload at batch 1")
        out.print()
    emit(rows, output, title="Targets")


def _row(profile: str, planned: Planned) -> dict[str, Any]:
    return {
        "profile": profile,
        "target": planned.target.token,
        "build": "no" if planned.refusal else "yes",
        "why not": planned.refusal or "",
    }


def _summary(workload: Workload) -> list[dict[str, str]]:
    ops = Counter(operation.op for operation in workload.operations)
    figures = {
        "inputs": _specs(workload.inputs),
        "outputs": _specs(workload.outputs),
        "opset": str(workload.opset),
        "arithmetic": f"{workload.flops / 1e6:,.3f} MFLOP",
        "weights": f"{workload.parameter_bytes / MIB:,.3f} MiB",
        "activations alive": f"{workload.peak_live_bytes / MIB:,.3f} MiB",
        "operators": ", ".join(f"{count} {op}" for op, count in ops.most_common()),
        "not counted": ", ".join(workload.unknown_ops) or "-",
    }
    return [{"figure": name, "value": value} for name, value in figures.items()]


def _specs(specs: tuple[TensorSpec, ...]) -> str:
    return ", ".join(f"{s.name}: {s.dtype} ({', '.join(map(str, s.shape))})" for s in specs)


def _refuse_nothing(plans: Sequence[Planned]) -> None:
    """Raise where no target can be built.

    Raises:
        ToolchainMissingError: some could be, with a toolchain that is not here.
        NothingShippableError: none could be anywhere.
    """
    if any(planned.refusal is None for planned in plans):
        return
    missing = next((p.refusal for p in plans if p.toolchain_missing), None)
    if missing is not None:
        raise ToolchainMissingError(missing, hint="pip install 'insight-edge[compile]'")
    raise NothingShippableError(
        "no target can be built from this model for these profiles",
        hint="the last column says why; try another --profile",
    )
