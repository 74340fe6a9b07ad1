# SPDX-License-Identifier: Apache-2.0
"""CUDA is offered where its package is, for profiles with a GPU, and never falls back silently."""

from pathlib import Path

import onnx
import pytest
from msgspec.structs import replace

from insight_edge.bundle.open import open_bundle
from insight_edge.compile.backends.onnxruntime import OnnxRuntimeBackend
from insight_edge.compile.job import BuildJob
from insight_edge.compile.toolchains.toolchain import Toolchain
from insight_edge.documents.profile import Accelerator, Figure
from insight_edge.documents.target import target_from_token
from insight_edge.runtime.engines.onnxruntime import OnnxRuntimeEngine
from tests.fakes.engine_bundles import onnx_artifact, weights_of, write_engine_bundle
from tests.fakes.hardware import profile_of
from tests.fakes.onnx_models import conv_model
from tests.fakes.sources import source_of

CUDA = target_from_token("onnxruntime:fp32+cuda")
GPU = Accelerator(
    kind="gpu",
    model=Figure(value="Some GPU", source="s"),
    compute_capability=Figure(value="8.9", source="s"),
)


@pytest.fixture
def gpu_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make `onnxruntime-gpu` seem installed, by its metadata alone."""
    folder = tmp_path / "onnxruntime_gpu-1.31.1.dist-info"
    folder.mkdir()
    metadata = "Metadata-Version: 2.1\nName: onnxruntime-gpu\nVersion: 1.31.1\n"
    (folder / "METADATA").write_text(metadata)
    monkeypatch.syspath_prepend(tmp_path)
    return "1.31.1"


def test_cuda_is_not_offered_without_its_package() -> None:
    assert CUDA not in OnnxRuntimeBackend().targets()


def test_cuda_is_offered_with_its_package_where_there_is_a_gpu(gpu_package: str) -> None:
    backend, source, profile = OnnxRuntimeBackend(), source_of(conv_model()), profile_of()
    assert CUDA in backend.targets()
    assert backend.refuse(source, CUDA, profile) == "box has no NVIDIA GPU"
    assert backend.refuse(source, CUDA, replace(profile, accelerators=(GPU,))) is None
    toolchain = backend.toolchain()
    assert isinstance(toolchain, Toolchain)
    assert toolchain.versions["onnxruntime-gpu"] == gpu_package


def test_artifact_for_a_gpu_does_not_run_on_the_cpu_instead(tmp_path: Path) -> None:
    weights = weights_of(0)
    write_engine_bundle(tmp_path / "b", "onnxruntime", onnx_artifact(weights), weights)
    bundle = open_bundle(tmp_path / "b", allow_unsigned=True)
    [variant] = bundle.manifest.variants
    for_gpu = replace(variant, settings={"provider": "cuda"})
    with pytest.raises(RuntimeError, match="cannot use CUDAExecutionProvider on this machine"):
        OnnxRuntimeEngine().load(bundle, for_gpu, threads=1)


def test_graph_for_a_gpu_is_optimised_by_what_holds_everywhere(tmp_path: Path) -> None:
    source = source_of(conv_model())
    (tmp_path / "m.onnx").write_bytes(source.data)
    job = BuildJob(
        plugin="none:None",
        target=CUDA,
        model=str(tmp_path / "m.onnx"),
        model_digest=source.digest,
        arch="x86_64",
        isa=("avx512f",),
    )
    artifact = OnnxRuntimeBackend().build(job, tmp_path)
    assert artifact.settings == {"optimized": "basic", "provider": "cuda"}
    ops = {node.op_type for node in onnx.load(tmp_path / artifact.entry).graph.node}
    assert not ops & {"FusedConv", "FusedGemm"}
    assert artifact.isa == ()
