# SPDX-License-Identifier: Apache-2.0
"""Several models on an engine that multiplies, and memory that the test gives and takes."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from insight_edge.bundle.need import ENGINE_BYTES, Need
from insight_edge.bundle.open import open_bundle
from insight_edge.bundle.slots import Slots
from insight_edge.documents.host import Activated, Refused
from insight_edge.errors import (
    AdmissionError,
    ConfigurationError,
    DocumentError,
    SlotError,
    UnavailableError,
    UpdateError,
)
from insight_edge.runtime.models import Models
from insight_edge.runtime.processor import usable_threads
from tests.fakes.agent import Agent
from tests.fakes.matrix import MatrixEngine, install, one_row, tagged_matrix, write_matrix_bundle

ONE = ENGINE_BYTES + 2**20
"""What a bundle needs here, with a little to spare."""


class Machine:
    """Memory of a machine: what is loaded takes as much as it was said to need.

    Attributes:
        total: bytes.
        kept: of these, that the engine does not give back when a model is closed.
    """

    def __init__(self, engine: MatrixEngine) -> None:
        self.engine, self.total, self.kept = engine, 2 * ONE, 0

    def available(self) -> int:
        kept = self.kept if self.engine.live < 2 else 0
        return self.total - kept - ONE * self.engine.live


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> MatrixEngine:
    return install(monkeypatch)


@pytest.fixture
def machine(engine: MatrixEngine) -> Machine:
    return Machine(engine)


@pytest.fixture
def bundles(tmp_path: Path) -> dict[str, Path]:
    for tag, name in enumerate(("a", "b", "c", "d"), 1):
        write_matrix_bundle(tmp_path / name, tagged_matrix(tag))
    return {name: tmp_path / name for name in ("a", "b", "c", "d")}


@pytest.fixture
def models(machine: Machine) -> Iterator[Models]:
    with Models(
        evicting=True, reserve_bytes=0, allow_unsigned=True, available=machine.available
    ) as made:
        yield made
    assert machine.engine.live == 0
    assert machine.engine.used_after_close == 0


def states(models: Models) -> dict[str, str]:
    return {standing.name: standing.state for standing in models.index()}


def test_each_model_answers_under_its_own_name(models: Models, bundles: dict[str, Path]) -> None:
    standing = models.load("door", bundles["a"])
    models.load("count", bundles["b"], priority=1)
    assert (standing.state, standing.threads) == ("ready", usable_threads())
    answers = {name: models.infer(name, one_row(), key="k") for name in ("door", "count")}
    assert {name: result.outputs["y"][0, 0] for name, result in answers.items()} == {
        "door": 1.0,
        "count": 2.0,
    }
    assert answers["door"].id.startswith("local/door/")
    reports = {report.deployment: report for report in iter(models.take_report, None)}
    assert {name: report.counts.answered for name, report in reports.items()} == {
        "door": 1,
        "count": 1,
    }
    assert {report.threads for report in reports.values()} == {usable_threads()}
    assert [each.name for each in models.index()] == ["count", "door"]


def test_model_that_does_not_fit_is_refused_in_one_line(
    models: Models, bundles: dict[str, Path]
) -> None:
    models.load("a", bundles["a"])
    models.load("b", bundles["b"])
    with pytest.raises(AdmissionError) as refused:
        models.load("c", bundles["c"])
    assert str(refused.value) == "'c' needs 64.0 MiB, 0.0 are free"
    assert refused.value.hint is not None
    assert states(models) == {"a": "ready", "b": "ready"}


def test_lower_priority_leaves_for_a_higher_one_and_comes_back(
    models: Models, bundles: dict[str, Path]
) -> None:
    models.load("a", bundles["a"], priority=1)
    models.load("b", bundles["b"], priority=2)
    models.infer("a", one_row())
    models.load("c", bundles["c"], priority=3)
    assert states(models) == {"c": "ready", "b": "ready", "a": "waiting"}
    reason = "unloaded to make room for 'c', whose priority is 3, its own 1"
    with pytest.raises(UnavailableError, match=reason):
        models.infer("a", one_row())
    models.restore()
    assert states(models)["a"] == "waiting"
    models.unload("c")
    assert states(models) == {"b": "ready", "a": "ready"}
    assert models.infer("a", one_row()).outputs["y"][0, 0] == 1.0
    told = [(change.name, change.state) for change in models.changes()]
    assert told == [
        ("a", "ready"),
        ("b", "ready"),
        ("a", "waiting"),
        ("c", "ready"),
        ("c", "unloaded"),
        ("a", "ready"),
    ]
    counted = [report.deployment for report in iter(models.take_report, None)]
    assert counted == ["a", "a"]  # before it left, and after it came back


def test_who_left_comes_back_when_the_machine_has_room_again(
    models: Models, machine: Machine, bundles: dict[str, Path]
) -> None:
    models.load("a", bundles["a"])
    models.load("b", bundles["b"], priority=1)
    models.load("c", bundles["c"], priority=1)
    assert states(models)["a"] == "waiting"
    machine.total = 3 * ONE
    models.restore()
    assert states(models)["a"] == "ready"


def test_who_left_comes_back_where_the_one_it_left_for_cannot_be_loaded(
    models: Models, bundles: dict[str, Path], tmp_path: Path
) -> None:
    models.load("a", bundles["a"])
    models.load("b", bundles["b"])
    write_matrix_bundle(tmp_path / "liar", tagged_matrix(5), answers_of=tagged_matrix(6))
    with pytest.raises(UpdateError):
        models.load("liar", tmp_path / "liar", priority=1)
    assert states(models) == {"a": "ready", "b": "ready"}


def test_memory_that_an_engine_keeps_is_not_given_away(
    models: Models, machine: Machine, bundles: dict[str, Path]
) -> None:
    models.load("a", bundles["a"])
    models.load("b", bundles["b"])
    machine.kept = ONE // 2
    with pytest.raises(AdmissionError, match=r"'c' needs 64\.0 MiB, 32\.5 are free"):
        models.load("c", bundles["c"], priority=1)
    assert states(models) == {"a": "ready", "b": "waiting"}
    machine.kept = 0
    models.restore()
    assert states(models) == {"a": "ready", "b": "ready"}


def test_what_cannot_be_loaded_again_says_why_and_is_not_tried_for_ever(
    models: Models, bundles: dict[str, Path]
) -> None:
    models.load("a", bundles["a"])
    models.load("b", bundles["b"], priority=1)
    models.load("c", bundles["c"], priority=1)
    shutil.rmtree(bundles["a"])
    models.unload("c")
    (failed,) = [each for each in models.index() if each.name == "a"]
    assert failed.state == "failed"
    assert str(bundles["a"]) in failed.reason
    count = len(models.changes())
    models.restore()
    assert len(models.changes()) == count
    models.unload("a")
    assert states(models) == {"b": "ready"}


def test_budget_bounds_what_models_need_together(
    machine: Machine, bundles: dict[str, Path]
) -> None:
    machine.total = 9 * ONE
    with Models(
        memory_bytes=ONE, allow_unsigned=True, available=machine.available, at_once=99
    ) as models:
        assert models.load("a", bundles["a"]).threads == 1
        with pytest.raises(AdmissionError):
            models.load("b", bundles["b"], priority=9)  # nobody was told to leave for others


def test_what_the_owner_says_it_needs_goes_before_the_bundle(
    models: Models, machine: Machine, bundles: dict[str, Path]
) -> None:
    machine.total = ONE
    models.load("a", bundles["a"], need_bytes=2**20)
    machine.total += 2**20
    standing = models.load("b", bundles["b"], need_bytes=2**20)
    assert standing.need == Need(2**20, "stated")


def test_swap_needs_room_for_both(
    models: Models, machine: Machine, bundles: dict[str, Path]
) -> None:
    models.load("a", bundles["a"])
    record = models.swap("a", bundles["b"])
    assert models.index()[0].bundle == record.target
    assert models.infer("a", one_row()).outputs["y"][0, 0] == 2.0
    machine.total = ONE
    with pytest.raises(UpdateError, match="beside the bundle that serves") as refused:
        models.swap("a", bundles["c"])
    assert isinstance(refused.value.__cause__, AdmissionError)
    assert models.infer("a", one_row()).outputs["y"][0, 0] == 2.0


def test_deployment_of_a_fleet_is_one_of_the_models(
    models: Models, machine: Machine, bundles: dict[str, Path], tmp_path: Path
) -> None:
    slots = Slots(tmp_path / "state")
    slots.commit(slots.stage(bundles["a"]))
    assert models.attach("camera", tmp_path / "state").state == "ready"
    models.load("b", bundles["b"], priority=1)
    assert models.infer("camera", one_row()).outputs["y"][0, 0] == 1.0
    idle = slots.stage(bundles["c"])
    with Agent(tmp_path / "state") as agent:
        agent.hello()
        refused = agent.activate(idle)
        assert isinstance(refused, Refused)
        assert (refused.phase, refused.kind) == ("stage", "AdmissionError")
        machine.total = 3 * ONE
        activated = agent.activate(idle)
        assert isinstance(activated, Activated)
    (standing,) = [each for each in models.index() if each.name == "camera"]
    assert standing.bundle == activated.record.target
    slots.commit(idle)
    machine.total = 2 * ONE
    models.load("d", bundles["d"], priority=1)
    assert states(models) == {"b": "ready", "d": "ready", "camera": "waiting"}
    models.unload("d")
    assert models.infer("camera", one_row()).outputs["y"][0, 0] == 3.0


def test_deployment_without_a_bundle_waits_for_the_agent(
    models: Models, bundles: dict[str, Path], tmp_path: Path
) -> None:
    standing = models.attach("camera", tmp_path / "state")
    assert (standing.state, standing.bundle, standing.need.length_bytes) == ("ready", "", 0)
    with pytest.raises(SlotError, match="no bundle is serving"):
        models.infer("camera", one_row())
    slot = Slots(tmp_path / "state").stage(bundles["a"])
    with Agent(tmp_path / "state") as agent:
        agent.hello()
        assert isinstance(agent.activate(slot), Activated)
    assert models.infer("camera", one_row()).outputs["y"][0, 0] == 1.0
    assert models.index()[0].need.length_bytes >= ENGINE_BYTES


def test_room_of_what_is_being_loaded_is_not_given_to_another(
    models: Models, bundles: dict[str, Path]
) -> None:
    models.load("a", bundles["a"])
    residence = models._residence
    swapped_to = open_bundle(bundles["b"], allow_unsigned=True)
    with (
        residence.room_beside(residence.model("a"), swapped_to),
        pytest.raises(AdmissionError, match=r"'c' needs 64\.0 MiB, "),
    ):
        models.load("c", bundles["c"])
    models.load("c", bundles["c"])
    assert states(models) == {"a": "ready", "c": "ready"}


def test_callers_of_a_model_that_leaves_have_their_answer_or_its_reason(
    models: Models, bundles: dict[str, Path]
) -> None:
    models.load("a", bundles["a"])
    models.load("b", bundles["b"], priority=1)

    def call(name: str) -> str:
        try:
            answer = models.infer(name, one_row()).outputs["y"][0, 0]
        except UnavailableError:
            return "unavailable"
        return str(answer)

    with ThreadPoolExecutor(4) as callers:
        calls = [callers.submit(call, "ab"[n % 2]) for n in range(200)]
        for _ in range(5):
            models.load("c", bundles["c"], priority=2)
            models.unload("c")
        found = [one.result() for one in calls]
    assert set(found[::2]) <= {"1.0", "unavailable"}
    assert set(found[1::2]) == {"2.0"}


def test_mistakes_are_told(models: Models, bundles: dict[str, Path], tmp_path: Path) -> None:
    models.load("a", bundles["a"])
    with pytest.raises(ConfigurationError, match="a model 'a' already"):
        models.load("a", bundles["b"])
    with pytest.raises(ConfigurationError, match="no model 'z'"):
        models.infer("z", one_row())
    with pytest.raises(DocumentError):
        models.load("nothing", tmp_path / "nothing")
    for wrong in ({"at_once": 0}, {"reserve_bytes": -1}, {"patience_s": -1.0}):
        with pytest.raises(ConfigurationError):
            Models(**wrong)
    models.close()
    with pytest.raises(ValueError, match="closed"):
        models.load("b", bundles["b"])
    with pytest.raises(UnavailableError):
        models.infer("a", one_row())
