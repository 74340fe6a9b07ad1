# SPDX-License-Identifier: Apache-2.0
"""The last steps before a model, put into its graph: the engine then does them.

A model stays as it is where nothing can be fused, or where what the operators answer is not what
the executor does. Steps after a model are never fused: answers are proven as the model gives them,
and a saturated probability hides a channel that is wrong.
"""

from collections.abc import Sequence
from dataclasses import replace

import msgspec
import numpy as np
from onnx import ModelProto, helper

from insight_edge.compile.graph.check import model_from_bytes, opset_of
from insight_edge.compile.graph.reference import Reference
from insight_edge.compile.graph.renaming import names_of
from insight_edge.compile.graph.step_nodes import OPSET, fusable, prepend
from insight_edge.compile.rows.random_rows import random_rows
from insight_edge.compile.sources.source import SourceModel, source_from_onnx
from insight_edge.documents.source import SourceDescription
from insight_edge.documents.steps import AnyStep
from insight_edge.documents.tensors import TensorSpec
from insight_edge.documents.workload import Workload
from insight_edge.transforms.executor import carried, infer_specs, run

RELATIVE, ABSOLUTE = 1e-5, 1e-6
"""By how much a number may differ: float32 rounds at 6e-8, a step does so a few times."""

ROWS = 2


def fuse(source: SourceModel) -> SourceModel:
    """Return the model with the last steps of its description in its graph, or itself.

    The digest of the model in its description stays that of the file that was handed in.

    Raises:
        ModelError: the model with its steps must not be compiled.
    """
    described = source.description
    if described is None or source.workload.called or len(source.workload.inputs) != 1:
        return source
    count = fusable_tail(described, source.workload)
    if not count:
        return source
    kept, steps = described.pre[:-count], described.pre[-count:]
    known = {spec.name: spec for spec in infer_specs(kept, described.inputs)}
    fused = with_steps(source, steps, known[steps[0].source])
    if fused is source:
        return source
    return replace(
        fused,
        description=msgspec.structs.replace(described, pre=kept),
        vocabularies=source.vocabularies,
    )


def with_steps(source: SourceModel, steps: Sequence[AnyStep], given: TensorSpec) -> SourceModel:
    """Return the bare model that takes `given` and does the steps itself; as it is where it cannot.

    Raises:
        ModelError: the model with the steps must not be compiled.
    """
    model = model_from_bytes(source.data)
    [fed] = source.workload.inputs
    # The model says how many rows it takes.
    given = msgspec.structs.replace(given, shape=(fed.shape[0], *given.shape[1:]))
    named = names_of(model) | {spec.name for spec in source.workload.outputs}
    if opset_of(model) < OPSET or given.name in named - {fed.name}:
        return source
    if not _same(steps, given, opset_of(model)):
        return source
    made = prepend(model, steps, given).SerializeToString()
    fused = source_from_onnx(made, name=source.name, importer=source.importer)
    return replace(fused, fused=tuple(steps))


def fusable_tail(described: SourceDescription, workload: Workload) -> int:
    """Return how many of the last steps before a model of one input an engine can do."""
    [fed] = workload.inputs
    if described.observe.stage == "tensor" and described.observe.inputs:
        return 0
    wanted = carried(described.post, [spec.name for spec in workload.outputs])
    name, count = fed.name, 0
    for index in reversed(range(len(described.pre))):
        step = described.pre[index]
        known = infer_specs(described.pre[:index], described.inputs)
        specs = {spec.name: spec for spec in known}
        if name in wanted or step.writes != (name,) or not fusable(step, specs[step.source]):
            break
        name, count = step.source, count + 1
    return count


def _same(steps: Sequence[AnyStep], given: TensorSpec, opset: int) -> bool:
    """Return whether the operators answer what the executor does to random numbers."""
    [to] = [spec for spec in infer_specs(steps, [given]) if spec.name == steps[-1].result]
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(to.dtype))
    values = [helper.make_tensor_value_info(name, kind, to.shape) for name in ("fed", "answer")]
    node = helper.make_node("Identity", ["fed"], ["answer"])
    alone: ModelProto = helper.make_model(
        helper.make_graph([node], "steps", values[:1], values[1:]),
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=8,
    )
    written = [*steps[:-1], msgspec.structs.replace(steps[-1], result="fed")]
    model = prepend(alone, written, given).SerializeToString()
    rows = next(random_rows([given], ROWS))
    expected = run(steps, rows)[steps[-1].result]
    found = Reference(model, as_written=True).answers(rows)["answer"]
    within = ABSOLUTE * float(np.abs(expected).max())
    return np.allclose(found, expected, rtol=RELATIVE, atol=within)
