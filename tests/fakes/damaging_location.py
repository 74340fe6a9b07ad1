# SPDX-License-Identifier: Apache-2.0
"""A place to build in that gets one weight wrong, in the whole model and in every part of it."""

import threading
from dataclasses import dataclass
from pathlib import Path

import msgspec
import onnx
from onnx import numpy_helper

from insight_edge.compile.building.location import Here
from insight_edge.compile.building.outcome import BuildLimits, BuildOutcome
from insight_edge.compile.job import BuildJob


@dataclass(frozen=True, kw_only=True)
class Damaging:
    """Builds where the toolchain is, with the sign of a weight turned; none for no fault."""

    python: str
    weight: str | None

    def build(
        self,
        job: BuildJob,
        directory: Path,
        *,
        limits: BuildLimits | None = None,
        stop: threading.Event | None = None,
    ) -> BuildOutcome:
        damaged = Path(job.model).with_suffix(".damaged.onnx")
        model = onnx.load(job.model)
        for tensor in model.graph.initializer:
            if tensor.name == self.weight:
                turned = numpy_helper.from_array(-numpy_helper.to_array(tensor), tensor.name)
                tensor.CopyFrom(turned)
        onnx.save(model, damaged)
        job = msgspec.structs.replace(job, model=str(damaged))
        return Here(python=self.python).build(job, directory, limits=limits, stop=stop)
