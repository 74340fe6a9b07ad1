# SPDX-License-Identifier: Apache-2.0
"""Members of the zoo, hardly trained, made and compiled end to end."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.bundles import this_machine
from insight_edge.compile.compiler import compile_model
from insight_edge.compile.settings import Compilation, Settings
from insight_edge.compile.toolchains.environments import environment_python
from insight_edge.documents.target import target_from_token
from insight_edge.errors import ConfigurationError, ToolchainMissingError
from insight_edge.runtime.infer import Runtime
from zoo.__main__ import main
from zoo.keeping import MEMBERS, make
from zoo.member import CALIBRATION, Card
from zoo.shipped import ENVIRONMENT
from zoo.writing import read_card

EFFORT = 0.02
TARGET = target_from_token("onnxruntime:fp32")


def missing() -> str:
    """Return why what the zoo is trained on is not here; empty where it is."""
    try:
        environment_python(ENVIRONMENT)
    except (ToolchainMissingError, ConfigurationError) as error:
        return f"{error} ({error.hint})"
    return ""


needs_data = pytest.mark.skipif(bool(missing()), reason=missing() or "its data is here")


def compiled(card: Card, out: Path) -> Compilation:
    folder = out / card.name
    settings = Settings(only=(TARGET,), threads=1, rounds=5, trust_pickle=True)
    return compile_model(
        folder / card.file,
        this_machine(),
        out / "bundle",
        samples=folder / CALIBRATION,
        settings=settings,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "mlp",
        pytest.param("boosting", marks=needs_data),
        pytest.param("tcn", marks=needs_data),
    ],
)
def test_member_is_made_and_compiled(name: str, tmp_path: Path) -> None:
    card = make(name, tmp_path, effort=EFFORT)
    assert read_card(tmp_path / name) == card
    compilation = compiled(card, tmp_path)
    (trial,) = compilation.evidence.trials
    assert trial.proof is not None
    assert trial.proof.verdict == "PROVEN"
    assert trial.proof.labelled == card.labelled
    assert trial.proof.rows == card.rows["verification"]
    with np.load(tmp_path / name / CALIBRATION) as held:
        rows = {k: held[k][:1] for k in held.files if k not in {"labels", "verification"}}
    with Runtime.open(compilation.bundle, allow_unsigned=True, threads=1) as runtime:
        result = runtime.infer(rows)
    assert all(np.isfinite(value).all() for value in result.outputs.values())


@pytest.mark.slow
def test_same_seed_makes_the_same_model(tmp_path: Path) -> None:
    for turn in ("first", "second"):
        make("mlp", tmp_path / turn, effort=EFFORT)
    models = [(tmp_path / turn / "mlp" / "model.json").read_bytes() for turn in ("first", "second")]
    assert models[0] == models[1]


def test_what_is_not_of_the_zoo_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "mlp").mkdir()
    (tmp_path / "mlp" / "thesis.txt").write_text("the only copy")
    with pytest.raises(ConfigurationError, match="is not of the zoo"):
        make("mlp", tmp_path)
    assert (tmp_path / "mlp" / "thesis.txt").read_text() == "the only copy"


def test_name_that_is_not_known_is_a_mistake_of_the_caller(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["make", "--out", str(tmp_path), "unicorn"]) == 2
    assert "the zoo has no 'unicorn'" in capsys.readouterr().err


def test_names_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    assert capsys.readouterr().out.split() == list(MEMBERS)
