# SPDX-License-Identifier: Apache-2.0
"""A profile with a GPU that this machine has not: plans are built, shown and never chosen."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest

from insight_edge.bundle.npz import npz_from_arrays
from insight_edge.bundle.open import open_bundle
from insight_edge.compile.compiler import compile_model
from insight_edge.compile.plugins.discovery import backends
from insight_edge.compile.profiles.reading import find_profile
from insight_edge.compile.settings import Settings
from insight_edge.documents.evidence import Trial
from insight_edge.documents.facts import Missing
from insight_edge.documents.profile import EngineSupport, HardwareProfile
from insight_edge.documents.target import PRECISIONS, target_from_token
from insight_edge.errors import NothingShippableError
from tests.fakes.hardware import GPU
from tests.fakes.onnx_models import conv_model

pytestmark = pytest.mark.slow

WHY = f"this machine has no {GPU.model.value}"


@pytest.fixture
def with_gpu(here: Path) -> HardwareProfile:
    """Return the profile of this machine with a GPU that it has not."""
    found = getattr(backends()["tensorrt"], "toolchain")()  # noqa: B009 (it may be Missing)
    if isinstance(found, Missing):
        pytest.skip(found.reason)
    profile = find_profile(str(here))
    engines = profile.engines | {"tensorrt": EngineSupport(precisions=PRECISIONS)}
    sources = profile.sources | {"s": next(iter(profile.sources.values()))}
    return msgspec.structs.replace(
        profile, accelerators=(GPU,), engines=engines, sources=sources, threads=1
    )


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "m.onnx"
    path.write_bytes(conv_model().SerializeToString())
    return path


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    rows = np.random.default_rng(0).normal(size=(400, 3, 16, 16)).astype(np.float32)
    path = tmp_path / "rows.npz"
    path.write_bytes(npz_from_arrays({"x": rows}))
    return path


def settings_for(tokens: Sequence[str]) -> Settings:
    return Settings(only=tuple(map(target_from_token, tokens)), rounds=5, max_drop_pp=5)


def test_plans_are_built_and_shown_and_another_target_wins(
    with_gpu: HardwareProfile, model: Path, samples: Path, tmp_path: Path
) -> None:
    tokens = ("onnxruntime:fp32", "tensorrt:fp32", "tensorrt:fp16", "tensorrt:int8")
    compile_model(model, with_gpu, tmp_path / "b", samples=samples, settings=settings_for(tokens))
    trials = {t.target.token: t for t in open_bundle(tmp_path / "b", allow_unsigned=True)
              .evidence().trials}  # fmt: skip
    assert trials["onnxruntime:fp32"].chosen
    assert trials["onnxruntime:fp32"].unexecuted == ""
    for token in tokens[1:]:
        assert_unexecuted(trials[token])


def test_plans_alone_are_not_shipped(
    with_gpu: HardwareProfile, model: Path, tmp_path: Path
) -> None:
    with pytest.raises(NothingShippableError) as raised:
        compile_model(model, with_gpu, tmp_path / "b", settings=settings_for(["tensorrt:fp32"]))
    (trial,) = raised.value.trials
    assert isinstance(trial, Trial)
    assert_unexecuted(trial)
    assert not (tmp_path / "b").exists()


def assert_unexecuted(trial: Trial) -> None:
    assert (trial.status, trial.chosen, trial.unexecuted) == ("built", False, WHY)
    assert trial.reason == f"built, not executed: {WHY}"
    assert (trial.proof, trial.measurement) == (None, None)
    assert trial.artifact_bytes
    assert trial.build_s
