# SPDX-License-Identifier: Apache-2.0
"""A plan for the GPU of this machine, built by TensorRT-RTX where that is installed."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from numpy.typing import NDArray

from insight_edge.compile.backends.tensorrt import TensorRtBackend
from insight_edge.compile.building.build import build
from insight_edge.compile.building.outcome import Built
from insight_edge.compile.job import BuildJob
from insight_edge.documents.codec import digest
from insight_edge.documents.facts import Missing
from insight_edge.documents.target import target_from_token
from insight_edge.runtime.cuda import gpu_facts


def tensorrt_artifact(weights: NDArray[Any]) -> dict[str, bytes]:
    # Bundles of all engines are written there, and this one is for bundles of one.
    from tests.fakes.engine_bundles import onnx_artifact

    toolchain = TensorRtBackend().toolchain()
    if isinstance(toolchain, Missing):
        pytest.skip(toolchain.reason)
    (data,) = onnx_artifact(weights).values()
    with TemporaryDirectory() as folder:
        model = Path(folder) / "m.onnx"
        model.write_bytes(data)
        job = BuildJob(
            plugin="insight_edge.compile.backends.tensorrt:TensorRtBackend",
            target=target_from_token("tensorrt:fp32"),
            model=str(model),
            model_digest=digest(data),
            arch="x86_64",
            compute_capabilities=(gpu_facts().capability,),
        )
        outcome = build(job, Path(folder) / "b", python=toolchain.python)
        assert isinstance(outcome, Built), outcome
        entry = outcome.artifact.entry
        return {entry: (outcome.directory / entry).read_bytes()}


def tensorrt_settings() -> dict[str, str]:
    return {"flavour": "rtx", "compute_capabilities": gpu_facts().capability}
