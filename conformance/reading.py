# SPDX-License-Identifier: Apache-2.0
"""A case as the product reads and plans it; runs in a child of the workshop's environment.

It calls what `insight-edge check` calls, less the process around it: the
examiner of the ONNX importer, `offers` and `plan`.
"""

import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from conformance.corpus import Asked, asked
from insight_edge.compile.building.preparation import prepare_job
from insight_edge.compile.importers.onnx import examine
from insight_edge.compile.job import BuildJob
from insight_edge.compile.plugins.discovery import backends
from insight_edge.compile.settings import DEFAULT_MAX_DROP_PP
from insight_edge.compile.sources.conversion import MODEL, WORKLOAD
from insight_edge.compile.sources.source import SourceModel
from insight_edge.compile.targets.plan import offers, plan
from insight_edge.compile.trials.verify import prove
from insight_edge.documents.codec import decode_json, encode_json
from insight_edge.documents.profile import (
    Accelerator,
    Cpu,
    Dram,
    EngineSupport,
    Figure,
    HardwareProfile,
    Source,
)
from insight_edge.documents.target import PRECISIONS, Target
from insight_edge.documents.workload import Workload
from insight_edge.errors import CompileError, ModelError
from insight_edge.runtime.processor import isa_extensions

GIB = 2**30


def conformance_profile() -> HardwareProfile:
    """Return a machine with this processor, every engine, and a GPU that plans are built for."""
    gpu = Accelerator(
        kind="gpu",
        model=Figure(value="a GPU of compute capability 8.9", source="made"),
        compute_capability=Figure(value="8.9", source="made"),
    )
    return HardwareProfile(
        id="conformance",
        name="What this machine is, with every engine",
        cpu=Cpu(
            arch=platform.machine(),
            model=Figure(value="this machine's", source="made"),
            isa=Figure(value=isa_extensions(), source="made"),
            cores=Figure(value=1, source="made"),
        ),
        dram=Dram(length_bytes=Figure(value=8 * GIB, source="made")),
        accelerators=(gpu,),
        engines={name: EngineSupport(precisions=PRECISIONS) for name in backends()},
        sources={"made": Source(address="https://example.org", date="2026-11-21")},
    )


def read_case(model: Path, place: Path, targets: Sequence[Target]) -> dict[str, Any]:
    """Write the workload, the questions and a job for each target that is planned.

    Returns:
        `refusal` of the importer, or `plans`: by target why it is not built, None where it is.
    """
    try:
        examine(model, place, trust_pickle=False)
    except ModelError as error:
        return {"refusal": str(error)}
    inlined = place / MODEL
    source = SourceModel(
        name=model.stem,
        data=(inlined if inlined.exists() else model).read_bytes(),
        workload=decode_json(Workload, (place / WORKLOAD).read_bytes()),
        importer="onnx",
    )
    profile = conformance_profile()
    wanted = {one.backend for one in targets}
    asked_of = {token: backend for token, backend in backends().items() if token in wanted}
    planned = plan(offers(asked_of, source, profile), profile, calibrated=False, only=targets)
    plans = {one.target.token: one.refusal for one in planned}
    for one in planned:
        if one.refusal is None:
            job = prepare_job(source, one.target, profile, place)
            (place / f"{one.target.backend}.json").write_bytes(encode_json(job))
    if any(refusal is None for refusal in plans.values()):
        _store(asked(model), place)
    return {"plans": plans}


def _store(sets: Sequence[Asked], place: Path) -> None:
    """Write questions and answers as plain arrays; their names may be anything."""
    for index, one in enumerate(sets):
        sides = {"inputs": one.inputs, "outputs": one.outputs}
        arrays: dict[str, Any] = {
            f"{side}{number}": np.asarray(value)
            for side, values in sides.items()
            for number, value in enumerate(values.values())
        }
        np.savez(place / f"set-{index}.npz", **arrays)
        names = {side: list(values) for side, values in sides.items()}
        (place / f"set-{index}.json").write_text(json.dumps(names))


def proof_failure(job_path: Path, one: Asked, found: Mapping[str, Any]) -> str | None:
    """Return why the product's proof fails an artifact on one question, None where it does not.

    The truth is the source model's answer as `compile.trials.oracle` has it. The question counts as
    one row, because the models of the corpora do not answer row by row.
    """
    import onnxruntime

    job = decode_json(BuildJob, job_path.read_bytes())
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    names = list(found)
    try:
        session = onnxruntime.InferenceSession(
            job.model, options, providers=["CPUExecutionProvider"]
        )
        truth = dict(zip(names, session.run(names, dict(one.inputs)), strict=True))
    except Exception as error:  # noqa: BLE001 (the engine has an exception for each of its states)
        return f"the source model does not run: {str(error).strip().splitlines()[0]}"
    wanted, given = ({n: np.asarray(v)[None] for n, v in side.items()} for side in (truth, found))
    try:
        proof = prove(wanted, given, None, budget_pp=DEFAULT_MAX_DROP_PP)
    except CompileError as error:
        return str(error)
    return proof.reason if proof.verdict == "FAILED" else None
