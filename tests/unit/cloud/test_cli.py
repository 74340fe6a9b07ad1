# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from insight_cloud.cli.main import run

EXAMPLE = Path(__file__).parents[3] / "examples" / "train.toml"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["train", "absent.toml"], "absent.toml: no such file", ""),
        (["train", str(EXAMPLE.parent)], "is a directory", ""),
        (["train", str(EXAMPLE), "--set", "fitting.epoch=1"], "'fitting.epoch'", "'epochs'"),
        (["train", str(EXAMPLE), "--set", "data.set=digit"], "'digit'", "'digits'"),
        (["train", str(EXAMPLE), "--set", "data.limit=9999"], "700 rows", ""),
        (["train", str(EXAMPLE), "--set", "task=tabular"], "no task 'tabular'", "known"),
        (["train", str(EXAMPLE), "--set", "name=Bad/Name"], "cannot name a model", "use 1 to"),
        (["train", str(EXAMPLE), "--set", "network.height=2"], "halved 3 times", "shorten"),
        (["train", str(EXAMPLE), "--format", "xml"], "xml", "--help"),
        (["train"], "train-toml", "--help"),
        (["trian"], "trian", "--help"),
        (["migrate", "--state", f"{EXAMPLE}/x"], "train.toml", ""),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    arguments: list[str], message: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    [error] = [line for line in printed.err.splitlines() if line.startswith("error: ")]
    assert message.lower() in error.lower()
    assert hint in "".join(line for line in printed.err.splitlines() if line.startswith("hint: "))


def test_an_unknown_variable_of_the_environment_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INSIGHT_CLOUD_SATE", "x")
    assert run(["migrate"]) == 2
    assert "did you mean 'INSIGHT_CLOUD_STATE'?" in capsys.readouterr().err


def test_migrate_makes_the_database_where_the_settings_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "insight-cloud.toml").write_text("state = 'from-file'\n")
    monkeypatch.setenv("INSIGHT_CLOUD_DATABASE", "elsewhere/db")
    assert run(["migrate"]) == 0
    assert (tmp_path / "elsewhere" / "db").exists()
    assert "the database is at revision" in capsys.readouterr().err
