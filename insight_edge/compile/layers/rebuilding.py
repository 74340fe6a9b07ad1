# SPDX-License-Identifier: Apache-2.0
"""Build a part of a source model as a variant was built, and ask it where that runs.

The same backend, target, processor and options; kernels that were tuned are taken
from the cache, none is tuned for this. What comes out is evidence about the
compiler: the bytes of the variant itself are not looked at.
"""

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from numpy.typing import NDArray
from onnx import ModelProto

from insight_edge.bench.insides import ask_outputs
from insight_edge.bench.machine import machine_facts
from insight_edge.bundle.durable import replace_file
from insight_edge.compile.building.cache import build_once
from insight_edge.compile.building.location import BuildLocation
from insight_edge.compile.building.outcome import Built
from insight_edge.compile.graph.cut import cut_model, pinned
from insight_edge.compile.job import BuildJob
from insight_edge.compile.plugins.discovery import backend_plugin, backends
from insight_edge.compile.plugins.seam import TUNING, ForAccelerators
from insight_edge.compile.quantize.calibration import write_calibration
from insight_edge.compile.sources.source import SourceModel, source_from_onnx
from insight_edge.compile.toolchains.environments import device_python
from insight_edge.compile.toolchains.toolchain import Toolchain
from insight_edge.compile.trials.package import Part, package
from insight_edge.compile.trials.question import Question
from insight_edge.documents.evidence import Evidence
from insight_edge.documents.manifest import Provenance, Variant
from insight_edge.documents.steps import Observe
from insight_edge.documents.target import Target
from insight_edge.errors import InsightEdgeError, StorageError

Arrays = dict[str, NDArray[Any]]


@dataclass(kw_only=True)
class Rebuilding:
    """Builds parts of one model for one variant.

    Attributes:
        variant: that is built again.
        model: the whole source model.
        values: its floating-point tensors on the rows.
        fed: the rows, as the model takes them.
        toolchain: of the variant's backend.
        place: directory to work in; it exists.
        cache: in which builds are kept, with what they share.
        tell: called with a few words before every build.
        location: where it is built; in a child process here for None.
        builds: parts that were built so far.
        failures: why others could not be built or asked.
    """

    variant: Variant
    model: ModelProto
    values: Mapping[str, NDArray[Any]]
    fed: Arrays
    toolchain: Toolchain
    place: Path
    cache: Path
    tell: Callable[[str], None] = lambda _: None
    location: BuildLocation | None = None
    builds: int = 0
    failures: list[str] = field(default_factory=list)

    def answers(self, tensors: Sequence[str]) -> Arrays | None:
        """Return what the part that ends in these tensors answers, None where it cannot be asked.

        Raises:
            StorageError: the disk is full or cannot be written.
        """
        self.tell(f"building {self.variant.name} up to '{tensors[-1]}'")
        try:
            part = self._part(tensors)
            source = source_from_onnx(part.SerializeToString(), name="part", importer="onnx")
            return self._asked(source)
        except StorageError:
            raise
        except InsightEdgeError as error:
            self.failures.append(f"up to '{tensors[-1]}': {error}")
            return None

    def _part(self, tensors: Sequence[str]) -> ModelProto:
        """Return the part; for the rows at hand where it ends in a tensor that is not one a row.

        The whole answers row by row, and compilers that build it for one row cannot build that.
        """
        rows = {array.shape[0] for array in self.fed.values() if array.ndim}
        by_row = all(self.values[name].shape[0] in rows for name in tensors)
        model = self.model if by_row else pinned(self.model, self.fed)
        return cut_model(model, tensors, self.values)

    def _asked(self, source: SourceModel) -> Arrays | None:
        fed = {spec.name: self.fed[spec.name] for spec in source.workload.inputs}
        outcome = build_once(
            self._job(source, fed), self.cache, self.toolchain, location=self.location
        )
        if not isinstance(outcome, Built):
            self.failures.append(f"up to '{source.workload.outputs[-1].name}': {outcome.reason}")
            return None
        self.builds += 1
        part = Part(target=self.variant.target, built=outcome)
        folder = self.place / f"part-{self.builds}"
        wanted = {spec.name: self.values[spec.name] for spec in source.workload.outputs}
        package(folder, source, _question(fed, wanted), _evidence(source), [part], Provenance())
        python = device_python(self.variant.target.backend)
        return ask_outputs(folder, part.name, python=python, inputs=fed)

    def _job(self, source: SourceModel, fed: Arrays) -> BuildJob:
        target = _untuned(self.variant.target)
        path = self.place / f"{source.digest[7:23]}.onnx"
        replace_file(path, source.data)
        int8 = target.precision == "int8"
        rows = write_calibration(source, fed, self.place) if int8 else None
        return BuildJob(
            plugin=backend_plugin(target.backend),
            target=target,
            model=str(path.absolute()),
            model_digest=source.digest,
            arch=platform.machine(),
            isa=self.variant.isa,
            compute_capabilities=_compute_capabilities(self.variant),
            calibration=str(rows.path) if rows else None,
            calibration_digest=rows.digest if rows else None,
        )


def _compute_capabilities(variant: Variant) -> tuple[str, ...]:
    backend: object = backends().get(variant.target.backend)
    return backend.built_for(variant.settings) if isinstance(backend, ForAccelerators) else ()


def _untuned(target: Target) -> Target:
    options = {name: value for name, value in target.options.items() if name != TUNING}
    return msgspec.structs.replace(target, options=options)


def _question(rows: Arrays, answers: Arrays) -> Question:
    """Return rows and answers as golden ones: nothing else of a part is looked at."""
    return Question(
        rows={}, labels=None, answers={}, golden_rows=rows, golden_answers=answers,
        golden_source="random", observe=Observe(), reference=None,
    )  # fmt: skip


def _evidence(source: SourceModel) -> Evidence:
    return Evidence(
        model_digest=source.digest, profile="", measured_on=machine_facts(), trials=(), created=""
    )
