# SPDX-License-Identifier: Apache-2.0
from pathlib import Path
from typing import Any

import pytest

from insight_cloud.training.config import TrainConfig, config_from_plain, read_plain
from insight_cloud.training.task import load_task
from insight_edge.errors import ConfigurationError, DocumentError, ToolchainMissingError

EXAMPLE = Path(__file__).parents[3] / "examples" / "train.toml"
MINIMAL = b"""
task = "image-classification"
name = "digits"
[data]
set = "digits"
"""


def config(*overrides: str, data: bytes = MINIMAL) -> TrainConfig:
    return config_from_plain(TrainConfig, read_plain(data, overrides))


def test_a_minimal_file_has_all_defaults() -> None:
    found = config()
    assert (found.task, found.name, found.data.set) == ("image-classification", "digits", "digits")
    assert found.data.limit is None
    assert found.resources.executor == "local"


def test_the_example_says_what_the_defaults_are() -> None:
    plain = read_plain(EXAMPLE.read_bytes())
    kind = load_task("image-classification").config
    assert config_from_plain(kind, plain) == config_from_plain(kind, read_plain(MINIMAL))


@pytest.mark.parametrize(
    ("setting", "path", "expected"),
    [
        ("fitting.epochs=3", ("fitting", "epochs"), 3),
        ("fitting.learning_rate=1e-4", ("fitting", "learning_rate"), 1e-4),
        ("data.limit=200", ("data", "limit"), 200),
        ("name=other", ("name",), "other"),
        ('name="quoted"', ("name",), "quoted"),
        ("name=a=b", ("name",), "a=b"),
    ],
)
def test_a_setting_replaces_one_key_and_no_other(
    setting: str, path: tuple[str, ...], expected: Any
) -> None:
    before, after = read_plain(MINIMAL), read_plain(MINIMAL, [setting])
    place = after
    for key in path[:-1]:
        place = place[key]
    assert place.pop(path[-1]) == expected
    for key in path[:-1]:
        before.setdefault(key, {})
    held = before[path[0]] if len(path) == 2 else before
    held.pop(path[-1], None)
    assert after == before


def test_the_last_of_two_settings_of_one_key_counts() -> None:
    assert config("fitting.seed=1", "fitting.seed=2").fitting.seed == 2


@pytest.mark.parametrize("setting", ["fitting.epochs", "=3", "a b=3", ""])
def test_a_setting_that_sets_nothing_is_refused(setting: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        config(setting)
    assert caught.value.hint == "write it as --set fitting.epochs=3"


@pytest.mark.parametrize(
    ("setting", "key", "hint"),
    [
        ("fitting.epoch=3", "fitting.epoch", "did you mean 'epochs'?"),
        ("data.sett=x", "data.sett", "did you mean 'set'?"),
        ("resource.threads=1", "resource", "did you mean 'resources'?"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_name(setting: str, key: str, hint: str) -> None:
    with pytest.raises(DocumentError, match=f"unknown key '{key}'") as caught:
        config(setting)
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    "setting",
    [
        "fitting.epochs=0",
        "fitting.epochs=many",
        "fitting.epochs=1.5",
        "fitting.learning_rate=0",
        "fitting.weight_decay=-1",
        "data.limit=0",
        "resources.executor=ray",
        "resources.threads=0",
        "data=3",
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_with_its_path(setting: str) -> None:
    with pytest.raises(DocumentError, match=setting.split("=", maxsplit=1)[0].replace(".", r"\.")):
        config(setting)


def test_a_missing_key_is_named() -> None:
    with pytest.raises(DocumentError, match="`set`"):
        config(data=b'task = "t"\nname = "n"\n[data]\n')


@pytest.mark.parametrize("data", [b"task = ", b"\xff", b"task = 1\ntask = 2"])
def test_what_is_not_toml_is_refused(data: bytes) -> None:
    with pytest.raises(ConfigurationError, match="not TOML"):
        config(data=data)


def test_a_tasks_own_sections_are_as_strict() -> None:
    kind = load_task("image-classification").config
    with pytest.raises(DocumentError, match=r"augmentation\.rotate_deg") as caught:
        config_from_plain(kind, read_plain(MINIMAL, ["augmentation.rotate_deg=3"]))
    assert caught.value.hint == "did you mean 'rotation_deg'?"


def test_an_unknown_task_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigurationError, match="'image-clasification'") as caught:
        load_task("image-clasification")
    assert caught.value.hint == "did you mean 'image-classification'?"


def test_a_task_that_cannot_be_imported_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared = tmp_path / "broken-1.0.dist-info"
    declared.mkdir()
    (declared / "METADATA").write_text("Name: broken\nVersion: 1.0\n")
    (declared / "entry_points.txt").write_text("[insight_cloud.tasks]\nbroken = broken_task:Task\n")
    (tmp_path / "broken_task.py").write_text("raise RuntimeError('no accelerator')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ToolchainMissingError, match="'broken' cannot be loaded: no accelerator"):
        load_task("broken")
