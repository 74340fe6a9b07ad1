# SPDX-License-Identifier: Apache-2.0
"""What a build leaves behind for those who look into it, whatever became of it."""

from pathlib import Path

import pytest

from insight_edge.compile.building.cache import build_once
from insight_edge.compile.building.kept import traces_place, workplace
from insight_edge.compile.building.outcome import Built, Failed
from insight_edge.compile.job import BuildJob
from insight_edge.compile.toolchains.toolchain import Toolchain
from insight_edge.compile.trials.question import keep_question
from insight_edge.documents.codec import decode_json
from insight_edge.documents.target import Target, target_from_token
from insight_edge.errors import ConfigurationError
from tests.fakes.build_backends import PLUGIN

ROOT = Path(__file__).parents[3]
TOOLCHAIN = Toolchain(versions={"fakec": "1.0"})


@pytest.fixture(autouse=True)
def _fakes_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def job_of(fake: str) -> BuildJob:
    return BuildJob(
        plugin=f"{PLUGIN}:{fake}",
        target=Target(backend="fake", precision="int8"),
        model="/a/model.onnx",
        model_digest="sha256:1",
        arch="x86_64",
    )


def files(place: Path) -> set[str]:
    return {str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()}


def test_failed_build_leaves_all_it_wrote(tmp_path: Path) -> None:
    place = tmp_path / "fake-int8"
    outcome = build_once(job_of("Straying"), tmp_path / "cache", TOOLCHAIN, traces=place)
    assert isinstance(outcome, Failed)
    assert files(place) == {
        "job.json", "build.log", "outcome.txt", "artifact/half.bin",
        "intermediates/1/simplified.onnx", "intermediates/2-quant/ranges.json",
    }  # fmt: skip
    assert "gave up half-way" in (place / "outcome.txt").read_text()
    assert "gave up half-way" in (place / "build.log").read_text()
    assert decode_json(BuildJob, (place / "job.json").read_bytes()).target.token == "fake:int8"
    assert [p.name for p in (tmp_path / "cache").iterdir()] == []


def test_nothing_is_left_where_nobody_asked(tmp_path: Path) -> None:
    outcome = build_once(job_of("Straying"), tmp_path / "cache", TOOLCHAIN)
    assert isinstance(outcome, Failed)
    assert files(tmp_path) == set()


def test_kept_build_is_built_anew_and_found_later(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = build_once(job_of("Good"), cache, TOOLCHAIN)
    again = build_once(job_of("Good"), cache, TOOLCHAIN, traces=tmp_path / "t")
    assert isinstance(first, Built)
    assert isinstance(again, Built)
    assert not again.cached
    assert (tmp_path / "t" / "artifact" / "a.bin").read_bytes() == b"fake:int8"
    third = build_once(job_of("Good"), cache, TOOLCHAIN)
    assert isinstance(third, Built)
    assert third.cached
    assert not list(cache.glob("*/tmp"))


def test_second_build_of_a_target_has_a_place_of_its_own(tmp_path: Path) -> None:
    places = [traces_place(tmp_path, target_from_token("a:int8+mixed")).name for _ in range(3)]
    assert places == ["a-int8-mixed", "a-int8-mixed-2", "a-int8-mixed-3"]


def test_work_stays_where_it_is_kept_and_goes_where_not(tmp_path: Path) -> None:
    with workplace(tmp_path / "kept") as kept, workplace(None) as gone:
        for place in (kept, gone):
            (place / "cache").mkdir()
            (place / "model.onnx").touch()
    assert files(tmp_path / "kept") == {"model.onnx"}
    assert not gone.exists()
    with (
        pytest.raises(ConfigurationError, match="is not empty"),
        workplace(tmp_path / "kept"),
    ):
        pass


def test_question_is_written_with_its_answers(tmp_path: Path) -> None:
    import numpy as np

    from tests.unit.compile.test_package import QUESTION

    keep_question(tmp_path, QUESTION)
    with np.load(tmp_path / "question.npz") as arrays:
        kinds = {name.partition(".")[0] for name in arrays}
    assert {"golden-row", "golden-answer"} <= kinds
