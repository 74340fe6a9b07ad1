# SPDX-License-Identifier: Apache-2.0
"""What artifacts demand of a processor, and how they differ between processors."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from insight_edge.compile.building.build import build
from insight_edge.compile.building.outcome import Built
from insight_edge.compile.building.preparation import prepare_job
from insight_edge.compile.job import BuildJob
from insight_edge.compile.quantize.calibration import write_calibration
from insight_edge.compile.quantize.int8 import saturates, vnni
from insight_edge.compile.sources.source import source_from_onnx
from insight_edge.documents.target import Target, target_from_token
from tests.fakes.hardware import profile_of
from tests.fakes.onnx_models import conv_model


def job_of(arch: str, *isa: str) -> BuildJob:
    target = Target(backend="fake", precision="int8")
    return BuildJob(plugin="", target=target, model="", model_digest="", arch=arch, isa=isa)


@pytest.mark.parametrize(
    ("job", "narrow", "demanded"),
    [
        (job_of("x86_64", "avx2"), True, ()),
        (job_of("x86_64", "avx2", "avx512f"), True, ()),
        (job_of("x86_64", "avx2", "avx_vnni"), False, ("avx_vnni",)),
        (job_of("x86_64", "avx_vnni", "avx512_vnni"), False, ("avx512_vnni",)),
        (job_of("aarch64", "asimd"), False, ()),
    ],
)
def test_weights_are_narrow_where_sums_would_saturate(
    job: BuildJob, narrow: bool, demanded: tuple[str, ...]
) -> None:
    assert saturates(job) is narrow
    assert vnni(job) == demanded


def built(tmp_path: Path, token: str, *isa: str) -> Built:
    source = source_from_onnx(conv_model().SerializeToString(), name="m", importer="onnx")
    rows = np.random.default_rng(0).normal(size=(8, 3, 16, 16)).astype(np.float32)
    job = prepare_job(
        source,
        target_from_token(token),
        profile_of(isa=isa),
        tmp_path,
        calibration=write_calibration(source, {"x": rows}, tmp_path),
    )
    outcome = build(job, tmp_path / "-".join(("b", *isa)))
    assert isinstance(outcome, Built), outcome
    return outcome


@pytest.mark.slow
def test_onnxruntime_int8_keeps_to_7_bits_without_vnni_and_demands_it_otherwise(
    tmp_path: Path,
) -> None:
    largest = {}
    for isa in (("avx2",), ("avx2", "avx512_vnni")):
        outcome = built(tmp_path, "onnxruntime:int8", *isa)
        weights = [
            numpy_helper.to_array(t)
            for t in onnx.load(outcome.directory / outcome.artifact.entry).graph.initializer
            if t.data_type == onnx.TensorProto.INT8
        ]
        largest[outcome.artifact.isa] = max(int(np.abs(w.astype(int)).max()) for w in weights)
    assert largest == {(): 64, ("avx512_vnni",): 127}


@pytest.mark.slow
def test_onnxruntime_fp32_is_laid_out_ahead_only_with_the_demand_that_makes_it_right(
    tmp_path: Path,
) -> None:
    for isa in (("avx2",), ("avx2", "avx512f")):
        outcome = built(tmp_path, "onnxruntime:fp32", *isa)
        graph = onnx.load(outcome.directory / outcome.artifact.entry).graph
        blocked = any(node.domain == "com.microsoft.nchwc" for node in graph.node)
        assert blocked == (outcome.artifact.settings["optimized"] == "yes")
        assert outcome.artifact.isa == (("avx512f",) if blocked else ())
        assert "avx512f" in isa or not blocked


@pytest.mark.slow
@pytest.mark.parametrize(
    ("precision", "isa", "hint", "demanded"),
    [
        ("fp32", ("avx2",), "f32", ()),
        ("bf16", ("avx2", "avx512_bf16"), "bf16", ("avx512_bf16",)),
        ("bf16", ("amx_bf16", "avx512_bf16"), "bf16", ("avx512_bf16",)),
        ("int8", ("avx2", "avx512_vnni"), "f32", ("avx512_vnni",)),
    ],
)
def test_openvino_always_says_what_it_computes_in(
    precision: str, isa: tuple[str, ...], hint: str, demanded: tuple[str, ...], tmp_path: Path
) -> None:
    artifact = built(tmp_path, f"openvino:{precision}", *isa).artifact
    assert artifact.settings == {"INFERENCE_PRECISION_HINT": hint}
    assert artifact.isa == demanded
