# SPDX-License-Identifier: Apache-2.0
"""What `check` offers `compile` builds; what it refuses is refused there for the same reason."""

import json
from pathlib import Path

import msgspec
import pytest
from onnx import ModelProto, helper

from insight_edge.bench.machine import machine_facts
from insight_edge.cli.main import build_app, run
from insight_edge.compile.compiler import compile_model
from insight_edge.compile.profiles.writing import write_profile
from insight_edge.compile.settings import Settings
from insight_edge.documents.evidence import Trial
from insight_edge.documents.profile import Figure, HardwareProfile
from insight_edge.documents.target import PRECISIONS, Precision
from insight_edge.errors import NothingShippableError
from tests.fakes.hardware import profile_of
from tests.fakes.onnx_models import conv_model, model_of, recurrent_model, value, weights_of

pytestmark = pytest.mark.slow

ENGINES: dict[str, tuple[Precision, ...]] = dict.fromkeys(
    ("onnxruntime", "openvino", "tflite", "tvm"), PRECISIONS
)


def det_model() -> ModelProto:
    """What some frontends have no rule for."""
    return model_of(
        [
            helper.make_node("Conv", ["x", "w"], ["c"], name="conv"),
            helper.make_node("DeformConv", ["c", "v", "o"], ["d"], name="bent"),
        ],
        [value("x", ("batch", 3, 8, 8)), value("o", ("batch", 8, 5, 5))],
        [value("d", ("batch", 2, 5, 5))],
        weights_of(0, w=(2, 3, 3, 3), v=(2, 2, 2, 2)),
        opset=19,
    )


MODELS = {
    "conv": conv_model,
    "lstm": lambda: recurrent_model("LSTM"),
    "bent": det_model,
}


@pytest.fixture
def here() -> HardwareProfile:
    """This very machine."""
    facts = machine_facts()
    profile = profile_of(isa=(), arch=facts.arch, engines=ENGINES)
    cores = msgspec.structs.replace(profile.cpu, cores=Figure(value=facts.cores, source="s"))
    dram = msgspec.structs.replace(
        profile.dram, length_bytes=Figure(value=facts.memory_bytes, source="s")
    )
    return msgspec.structs.replace(profile, cpu=cores, dram=dram)


def trials_of(model: Path, profile: HardwareProfile, place: Path) -> tuple[Trial, ...]:
    settings = Settings(accept_unproven=True, rounds=5, repair_s=0.0)
    try:
        return compile_model(model, profile, place, settings=settings).evidence.trials
    except NothingShippableError as error:
        return tuple(trial for trial in error.trials if isinstance(trial, Trial))


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n == "conv" else pytest.mark.long) for n in MODELS]
)
def test_what_check_offers_builds_and_what_it_refuses_is_refused_alike(
    name: str, here: HardwareProfile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, profile = tmp_path / "m.onnx", tmp_path / "box.toml"
    model.write_bytes(MODELS[name]().SerializeToString())
    profile.write_text(write_profile(here))
    command = ["check", "-m", str(model), "--profile", str(profile), "--format", "json"]
    assert run(build_app(), command) == 0
    told = {row["target"]: row for row in json.loads(capsys.readouterr().out)["targets"]}
    trials = {trial.target.token: trial for trial in trials_of(model, here, tmp_path / "b")}
    assert trials.keys() <= told.keys()
    for token, trial in trials.items():
        if "calibrate" in trial.reason:  # check shows INT8 as if there were rows
            continue
        assert (told[token]["build"] == "yes") == (trial.status == "built"), trial.log
        if trial.status == "refused":
            assert told[token]["why not"] == trial.reason
