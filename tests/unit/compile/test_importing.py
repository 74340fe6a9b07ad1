# SPDX-License-Identifier: Apache-2.0
"""A reader in a child process may do what it likes: the parent gets a model or one line."""

import sys
from pathlib import Path

import pytest

from insight_edge.compile.sources import importing
from insight_edge.compile.sources.importing import ImportLimits, convert_apart
from insight_edge.compile.sources.source import SourceModel
from insight_edge.errors import ModelError, ToolchainMissingError

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the workshop's interpreter stand in for that of a toolchain."""
    monkeypatch.setattr(importing, "environment_python", lambda _: Path(sys.executable))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "m.fake").write_text("plain")
    return tmp_path / "m.fake"


def converted(model: Path, converter: str, **limits: float) -> SourceModel:
    return convert_apart(
        model,
        converter=f"tests.fakes.converters:{converter}",
        environment="toolchain-fake",
        importer="fake",
        framework="Fake",
        limits=ImportLimits(**limits),  # type: ignore[arg-type] # by field name
    )


def refused(model: Path, converter: str, **limits: float) -> str:
    with pytest.raises(ModelError) as caught:
        converted(model, converter, **limits)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_conversion_is_a_source_model_of_the_files_name(model: Path) -> None:
    source = converted(model, "convert")
    assert (source.name, source.importer, source.workload.opset) == ("m", "fake", 18)


@pytest.mark.parametrize(
    ("says", "expected"),
    [
        ("wrong", "output 'y' of the export differs from Fake by"),
        ("shape", "output 'y' of the export is [3, 4], Fake answers [2, 4]"),
        ("names", "the export takes ['x'], the framework was asked with ['other']"),
    ],
)
def test_conversion_that_is_another_model_is_refused(says: str, expected: str, model: Path) -> None:
    model.write_text(says)
    assert refused(model, "convert").startswith(expected)


@pytest.mark.parametrize(
    ("converter", "expected"),
    [
        ("old_opset", "converted to opset 15, not 18"),
        ("fail", "could not be read: last line of False"),
        ("crash", "reading it crashed the reader (signal 11)"),
        ("leave_nothing", "reading it ended well and left nothing usable"),
        ("absent", "could not be read: AttributeError"),
    ],
)
def test_reader_that_fails_is_one_line(converter: str, expected: str, model: Path) -> None:
    assert refused(model, converter).startswith(expected)


def test_refusal_of_the_reader_keeps_its_hint(model: Path) -> None:
    with pytest.raises(ModelError, match="it is odd, False") as caught:
        converted(model, "refuse")
    assert caught.value.hint == "make it even"


def test_reader_that_hangs_is_killed(model: Path) -> None:
    assert refused(model, "hang", wall_s=5.0) == (
        "reading it was given up: over the time limit of 5 s"
    )
    assert not Path("/proc", model.read_text()).exists()


def test_reader_that_takes_all_memory_is_killed(model: Path) -> None:
    found = refused(model, "grow", memory_bytes=2**28)
    assert found == "reading it was given up: over the memory limit of 0.2 GiB"


def test_toolchain_that_is_not_installed_says_how_to_get_it(
    model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    with pytest.raises(ToolchainMissingError) as caught:
        convert_apart(
            model,
            converter="nowhere:nothing",
            environment="toolchain-trees",
            importer="xgboost",
            framework="XGBoost",
        )
    assert caught.value.exit_code == 4
    assert caught.value.hint == "insight-edge toolchain install toolchain-trees"
