# SPDX-License-Identifier: Apache-2.0
"""Where an artifact shows nothing inside, the layer that its compiler gets wrong is found."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import ModelProto

from insight_edge.bundle.open import open_bundle
from insight_edge.bundle.write import file_entry
from insight_edge.compile.backends.tensorrt import TensorRtBackend
from insight_edge.compile.backends.tvm import TvmBackend
from insight_edge.compile.building.build import build
from insight_edge.compile.building.outcome import Built
from insight_edge.compile.building.preparation import prepare_job
from insight_edge.compile.job import Artifact
from insight_edge.compile.layers import culprit
from insight_edge.compile.layers.comparison import comparison_of
from insight_edge.compile.layers.layer_report import LayerReport
from insight_edge.compile.layers.layerwise import Again, layer_report
from insight_edge.compile.layers.rebuilding import Rebuilding
from insight_edge.compile.sources.source import SourceModel
from insight_edge.compile.toolchains.toolchain import Toolchain
from insight_edge.compile.trials.package import Part, package
from insight_edge.compile.trials.question import ask
from insight_edge.documents.evidence import Evidence
from insight_edge.documents.facts import Facts, Missing
from insight_edge.documents.manifest import Provenance
from insight_edge.documents.target import target_from_token
from insight_edge.runtime.loading import engine_facts
from tests.fakes.branching_models import branching_model, turning_model
from tests.fakes.damaging_location import Damaging
from tests.fakes.device_packages import device_python
from tests.fakes.hardware import profile_of
from tests.fakes.onnx_models import conv_model
from tests.fakes.programs import insight_edge
from tests.fakes.sources import source_of

pytestmark = pytest.mark.slow

TVM = target_from_token("tvm:fp32")
FACTS = Facts(arch="x86_64", cpu_model="c", isa=(), cores=1, memory_bytes=1, os="linux")


@dataclass(frozen=True, kw_only=True)
class World:
    """A bundle of a model that TVM built, one of its weights wrong."""

    source: SourceModel
    place: Path
    location: Damaging
    cache: Path

    @property
    def bundle(self) -> Path:
        return self.place / "bundle"

    def report(
        self, rows: Mapping[str, NDArray[np.float32]] | None = None, *, rebuild: bool = True
    ) -> LayerReport:
        bundle = open_bundle(self.bundle, allow_unsigned=True)
        variant = bundle.manifest.variants[0]
        again = Again(cache=self.cache, location=self.location, always=rebuild)
        return layer_report(bundle, variant, self.source, rows=rows, again=again)


@pytest.fixture(scope="module")
def toolchain() -> Toolchain:
    found = TvmBackend().toolchain()
    if isinstance(found, Missing):
        pytest.skip(f"tvm: {found.reason}")
    if device_python("tvm") is None:
        pytest.skip("the environment 'device-tvm' is not installed")
    return found


def evidence_of(source: SourceModel) -> Evidence:
    return Evidence(
        model_digest=source.digest, profile="box", measured_on=FACTS, trials=(), created="now"
    )


def world_of(model: ModelProto, weight: str | None, place: Path, toolchain: Toolchain) -> World:
    source, location = source_of(model), Damaging(python=toolchain.python, weight=weight)
    job = prepare_job(source, TVM, profile_of(), place)
    built = location.build(job, place / "build")
    assert isinstance(built, Built), built
    part, evidence = Part(target=TVM, built=built), evidence_of(source)
    package(place / "bundle", source, ask(source, None), evidence, [part], Provenance())
    return World(source=source, place=place, location=location, cache=place / "cache")


@pytest.mark.parametrize(
    ("make", "weight", "tensor"),
    [
        (conv_model, "w2", "c2"),  # in the middle of a chain
        (branching_model, "wr", "right"),  # one of two branches
        (branching_model, "wt", "tail"),  # of which one output alone shows anything
        (turning_model, "wh", "second"),  # where rows do not come first
    ],
)
def test_layer_that_the_compiler_gets_wrong_is_named(
    make: Callable[[], ModelProto],
    weight: str,
    tensor: str,
    tmp_path: Path,
    toolchain: Toolchain,
) -> None:
    world = world_of(make(), weight, tmp_path, toolchain)
    told = world.report(rebuild=False)
    assert told.first is not None
    assert (told.found, told.builds) == ("matched", 0)
    assert told.first.tensor == tensor or f"'{tensor}'" in told.why
    report = world.report()
    assert (report.found, report.why) == ("rebuilt", "")
    assert report.first is not None
    assert report.first.tensor == tensor
    assert 1 < report.builds <= 5
    agreeing = [error for error in report.errors if not error.diverged]
    assert all(error.sqnr_db > 90 for error in agreeing)


def test_sound_artifact_is_asked_and_nothing_built(tmp_path: Path, toolchain: Toolchain) -> None:
    world = world_of(conv_model(), None, tmp_path, toolchain)
    report = world.report()
    assert (report.first, report.found, report.builds) == (None, "matched", 0)
    assert {"r1", "p1", "r2", "logits"} <= {error.tensor for error in report.errors}
    (world.place / "m.onnx").write_bytes(world.source.data)
    done = insight_edge("verify", "bundle", "--layers", "-m", "m.onnx", cwd=world.place)
    assert done.returncode == 0, done.stderr
    assert "it names no tensor inside, " in done.stderr
    assert "of 8 layers were told by values" in done.stderr
    seen = insight_edge("inspect", "bundle", "--format", "json", cwd=world.place)
    (layers,) = json.loads(seen.stdout)["layers"].values()
    assert [layer["op"] for layer in layers][-1] == "fused_matmul_add"
    assert {(layer["precision"], layer["placement"]) for layer in layers} == {("fp32", "CPU")}


def test_fault_that_this_toolchain_does_not_make_is_in_the_artifact(
    tmp_path: Path, toolchain: Toolchain
) -> None:
    """The verb builds from the sound model: what it builds agrees, the artifact does not."""
    world = world_of(conv_model(), "w2", tmp_path, toolchain)
    (world.place / "m.onnx").write_bytes(world.source.data)
    words = ("verify", "bundle", "--layers", "--rebuild", "-m", "m.onnx")
    done = insight_edge(*words, "--format", "json", cwd=world.place)
    assert done.returncode == 1, done.stderr
    (found,) = json.loads(done.stdout).values()
    assert (found["first"], found["found"], found["builds"]) == ("c2", "matched", 1)
    assert "built again the whole model agrees" in found["why"]


def test_without_the_toolchain_the_artifact_alone_is_looked_at_and_what_to_install_is_said(
    tmp_path: Path, toolchain: Toolchain, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = world_of(branching_model(), "wl", tmp_path, toolchain)

    class Bare(TvmBackend):
        def toolchain(self) -> Missing:
            return Missing(name="tvm", reason="insight-edge toolchain install toolchain-tvm")

    monkeypatch.setattr(culprit, "backends", lambda: {"tvm": Bare()})
    rows = {"x": np.ones((3, 6), np.float32), "scale": np.ones((3, 5), np.float32)}
    report = world.report(rows)
    assert (report.found, report.builds) == ("matched", 0)
    assert report.first is not None
    assert report.first.tensor == "left"
    assert "toolchain install toolchain-tvm" in report.why


def plan_of(place: Path) -> Built:
    """Return what nobody can load here: only an NVIDIA GPU runs a plan."""
    (place / "a.plan").write_bytes(b"plan")
    settings = {"flavour": "rtx", "compute_capabilities": "8.9", "max_batch": "128"}
    return Built(
        artifact=Artifact(entry="a.plan", files=("a.plan",), settings=settings),
        files=(file_entry("a.plan", place / "a.plan"),),
        directory=place,
        build_s=1.0,
        peak_rss_bytes=1,
        log="",
    )


def without_gpu() -> None:
    if not isinstance(engine_facts()["tensorrt"], Missing):
        pytest.skip("this machine runs TensorRT")


def test_engine_that_is_not_here_is_said_and_the_others_are_compared(tmp_path: Path) -> None:
    without_gpu()
    source, target = source_of(conv_model()), target_from_token("onnxruntime:fp32")
    job = prepare_job(source, target, profile_of(), tmp_path)
    built = build(job, tmp_path / "build")
    assert isinstance(built, Built), built
    plan = Part(target=target_from_token("tensorrt:fp32"), built=plan_of(tmp_path))
    evidence = evidence_of(source)
    for name, parts in {"both": [plan, Part(target=target, built=built)], "alone": [plan]}.items():
        package(tmp_path / name, source, ask(source, None), evidence, parts, Provenance())
    (tmp_path / "m.onnx").write_bytes(source.data)
    words = ("verify", "--layers", "-m", "m.onnx", "--format", "json")
    done = insight_edge(*words, "both", cwd=tmp_path)
    found = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert found["onnxruntime-fp32"]["first"] is None
    assert found["tensorrt-fp32"]["compared"] is None
    assert "not on this machine" in found["tensorrt-fp32"]["why"]
    alone = insight_edge(*words, "alone", cwd=tmp_path)
    assert alone.returncode == 4
    assert "not on this machine" in alone.stderr
    seen = insight_edge("inspect", "alone", cwd=tmp_path)
    assert "compute_capabilities 8.9, flavour rtx, max_batch 128" in seen.stdout


def test_parts_are_built_for_the_gpu_of_the_plan_and_refused_where_none_is(tmp_path: Path) -> None:
    without_gpu()
    found = TensorRtBackend().toolchain()
    if isinstance(found, Missing):
        pytest.skip(f"tensorrt: {found.reason}")
    source = source_of(branching_model())
    plan = Part(target=target_from_token("tensorrt:fp32"), built=plan_of(tmp_path))
    package(tmp_path / "b", source, ask(source, None), evidence_of(source), [plan], Provenance())
    bundle = open_bundle(tmp_path / "b", allow_unsigned=True)
    compared = comparison_of(bundle, bundle.manifest.variants[0], source)
    rebuilding = Rebuilding(
        variant=compared.variant,
        model=compared.model,
        values=compared.values,
        fed=compared.fed,
        toolchain=found,
        place=tmp_path,
        cache=tmp_path / "cache",
    )
    assert rebuilding.answers(("stem", "left")) is None
    assert rebuilding.builds == 1
    assert "not on this machine" in rebuilding.failures[0]
    (entry,) = (tmp_path / "cache").glob("*/job.json")
    assert json.loads(entry.read_text())["compute_capabilities"] == ["8.9"]
