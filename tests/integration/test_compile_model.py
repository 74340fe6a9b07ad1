# SPDX-License-Identifier: Apache-2.0
"""The door for programs: a few lines compile a model, and an error carries what was tried."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from msgspec.structs import replace
from onnx import numpy_helper

from insight_edge.bundle.open import open_bundle
from insight_edge.cli.main import build_app, run
from insight_edge.compile.building.outcome import BuildLimits
from insight_edge.compile.compiler import compile_model
from insight_edge.compile.profiles.reading import find_profile
from insight_edge.compile.settings import Settings
from insight_edge.compile.toolchains.environments import environment_python
from insight_edge.documents.evidence import Trial
from insight_edge.documents.profile import HardwareProfile
from insight_edge.documents.target import Target, target_from_token
from insight_edge.errors import (
    ConfigurationError,
    NothingShippableError,
    ToolchainMissingError,
)
from insight_edge.runtime import Runtime
from tests.fakes.sources import source_of, table_model, table_rows

EXAMPLE = Path(__file__).parents[2] / "examples" / "my_onnx.py"
FP32 = tuple(target_from_token(f"{engine}:fp32") for engine in ("onnxruntime", "openvino"))

pytestmark = pytest.mark.slow


@pytest.fixture
def profile(here: Path) -> HardwareProfile:
    return find_profile(str(here))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    onnx.save(table_model(), tmp_path / "table.onnx")
    return tmp_path / "table.onnx"


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    np.savez(tmp_path / "rows.npz", x=table_rows(500))
    return tmp_path / "rows.npz"


def settings_of(*only: Target, **changes: int) -> Settings:
    return Settings(only=only, rounds=5, **changes)  # type: ignore[arg-type]  # whole numbers only


def trials_of(error: NothingShippableError) -> dict[str, Trial]:
    trials = [trial for trial in error.trials if isinstance(trial, Trial)]
    return {trial.target.token: trial for trial in trials}


def test_a_few_lines_compile_a_model_and_ask_it(
    model: Path, samples: Path, profile: HardwareProfile, tmp_path: Path
) -> None:
    done = compile_model(
        model, profile, tmp_path / "b", samples=samples, settings=settings_of(*FP32)
    )
    with Runtime.open(done.bundle, allow_unsigned=True) as runtime:
        answer = runtime.infer({"x": table_rows(1)}).outputs["logits"]
    weights = {t.name: numpy_helper.to_array(t) for t in onnx.load(model).graph.initializer}
    assert np.allclose(answer, table_rows(1) @ weights["w"].T + weights["b"], atol=1e-5)
    opened = open_bundle(done.bundle, allow_unsigned=True)
    assert (opened.digest, opened.evidence()) == (done.digest, done.evidence)
    assert done.evidence.model_digest == source_of(table_model()).digest
    assert {trial.status for trial in done.evidence.trials} == {"built"}
    for engine in ("onnxruntime", "openvino"):
        # The evidence was taken in the engine's own environment, which lacks the workshop.
        packages = done.evidence.environment[engine]
        assert engine in packages
        assert "torch" not in packages


def test_example_runs_as_it_stands(model: Path, samples: Path, here: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, EXAMPLE, model, samples, here],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "'logits': array([[" in done.stdout


def test_what_happens_is_told_in_order(
    model: Path, samples: Path, profile: HardwareProfile, tmp_path: Path
) -> None:
    told: list[str] = []
    compile_model(
        model, profile, tmp_path / "b", samples=samples, settings=settings_of(FP32[0]),
        tell=told.append,
    )  # fmt: skip
    assert told == [
        "asking the source model",
        "building onnxruntime:fp32",
        "asking onnxruntime:fp32",
        *[f"measuring, round {done} of 5" for done in range(1, 6)],
        "packaging",
    ]


def test_error_carries_a_trial_for_every_target(
    model: Path, samples: Path, profile: HardwareProfile, tmp_path: Path
) -> None:
    before = set(tmp_path.iterdir())
    settings = Settings(rounds=5, limits=BuildLimits(wall_s=0.0))
    with pytest.raises(NothingShippableError) as raised:
        compile_model(model, profile, tmp_path / "b", samples=samples, settings=settings)
    trials = trials_of(raised.value)
    assert trials["onnxruntime:fp32"].status == "failed"
    assert trials["onnxruntime:fp32"].reason == "over the time limit of 0 s"
    assert trials["openvino:bf16"].status in {"failed", "refused"}
    assert "over the time limit" in str(raised.value)
    assert set(tmp_path.iterdir()) == before


def test_error_carries_the_refusals_where_nothing_can_be_tried(
    model: Path, profile: HardwareProfile, tmp_path: Path
) -> None:
    int8 = target_from_token("onnxruntime:int8")
    with pytest.raises(NothingShippableError, match="nothing can be tried") as raised:
        compile_model(model, profile, tmp_path / "b", settings=settings_of(int8))
    [trial] = trials_of(raised.value).values()
    assert trial.status == "refused"
    assert trial.reason in str(raised.value)


class Killer:
    """Is told what happens, and kills the subject of a target once it was timed for a round."""

    def __init__(self, target: Target) -> None:
        self._draft = f"/drafts/{target.token.replace(':', '-')}".encode()
        self.killed: list[int] = []

    def __call__(self, words: str) -> None:
        if words.startswith("measuring, round 1 ") and not self.killed:
            self.killed = self._subjects()
            for pid in self.killed:
                os.kill(pid, signal.SIGKILL)

    def _subjects(self) -> list[int]:
        """Return the children of this process that were told to load a draft of the target."""
        tasks = Path("/proc/self/task").glob("*/children")
        children = [int(pid) for task in tasks for pid in task.read_text().split()]
        commands = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children}
        return [pid for pid, command in commands.items() if self._draft in command]


def test_subject_killed_while_it_is_timed_fails_alone(
    model: Path, samples: Path, profile: HardwareProfile, tmp_path: Path
) -> None:
    killer = Killer(FP32[0])
    done = compile_model(
        model, profile, tmp_path / "b", samples=samples, settings=settings_of(*FP32), tell=killer
    )
    assert len(killer.killed) == 1
    lost, won = done.evidence.trials
    assert (lost.target, lost.status, lost.measurement) == (FP32[0], "failed", None)
    assert "killed by signal 9" in lost.reason
    assert lost.proof is not None
    assert won.chosen
    assert won.measurement is not None
    assert won.measurement.rounds == 5
    variants = open_bundle(done.bundle, allow_unsigned=True).manifest.variants
    assert [variant.name for variant in variants] == ["openvino-fp32"]


def test_only_subject_killed_leaves_nothing_to_ship(
    model: Path, samples: Path, profile: HardwareProfile, tmp_path: Path
) -> None:
    with pytest.raises(NothingShippableError, match="killed by signal 9"):
        compile_model(
            model, profile, tmp_path / "b", samples=samples, settings=settings_of(FP32[0]),
            tell=Killer(FP32[0]),
        )  # fmt: skip
    assert not (tmp_path / "b").exists()


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of environments with none in it, which this one seems to have."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "prefix"))
    folder = tmp_path / "prefix" / "environments"
    folder.mkdir(parents=True)
    return folder


def test_nothing_can_be_tried_without_a_device_environment(
    model: Path, here: Path, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = elsewhere.parent / "b"
    with pytest.raises(ToolchainMissingError, match="'device-onnxruntime' is not installed"):
        compile_model(model, find_profile(str(here)), output)
    arguments = ["compile", "-m", str(model), "--profile", str(here), "-o", str(output)]
    assert run(build_app(), arguments) == 4
    printed = capsys.readouterr()
    assert printed.out == ""
    error, hint = printed.err.splitlines()
    assert "insight-edge toolchain install device-onnxruntime" in error
    assert hint == "hint: see what is installed: insight-edge toolchain list"
    assert not output.exists()


def test_engine_without_its_environment_is_refused_and_the_other_ships(
    model: Path,
    samples: Path,
    profile: HardwareProfile,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    installed = environment_python("device-onnxruntime").parents[1]
    folder = tmp_path / "prefix" / "environments"
    folder.mkdir(parents=True)
    (folder / "device-onnxruntime").symlink_to(installed)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "prefix"))
    done = compile_model(
        model, profile, tmp_path / "b", samples=samples, settings=settings_of(*FP32)
    )
    shipped, refused = done.evidence.trials
    assert (shipped.chosen, refused.status) == (True, "refused")
    assert "the environment 'device-openvino' is not installed" in refused.reason
    assert "insight-edge toolchain install device-openvino" in refused.reason


@pytest.mark.parametrize(
    "changes", [{"threads": 0}, {"rounds": 4}, {"jobs": 0}, {"max_drop_pp": 101.0}]
)
def test_settings_that_cannot_be_meant_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError):
        Settings(**changes)  # type: ignore[arg-type]  # as a caller without a type checker


def test_budget_is_the_callers_else_the_profiles(
    model: Path, samples: Path, profile: HardwareProfile, tmp_path: Path
) -> None:
    strict = replace(profile, limits=replace(profile.limits, max_drop_pp=0.25))
    with pytest.raises(NothingShippableError) as raised:
        compile_model(model, strict, tmp_path / "b", samples=samples, settings=settings_of(FP32[0]))
    [trial] = trials_of(raised.value).values()
    assert trial.proof is not None
    assert trial.proof.budget_pp == 0.25
    allowed = Settings(only=FP32[:1], rounds=5, max_drop_pp=2.0)
    done = compile_model(model, strict, tmp_path / "b", samples=samples, settings=allowed)
    assert done.evidence.trials[0].proof is not None
    assert done.evidence.trials[0].proof.budget_pp == 2.0
