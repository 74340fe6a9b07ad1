# SPDX-License-Identifier: Apache-2.0
"""What OpenVINO compiled of a slot is kept beside it: the next load compiles nothing."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from insight_edge.bundle.slots import Slots
from insight_edge.runtime.infer import Runtime
from insight_edge.runtime.isolation import Isolation
from tests.conformance.conftest import openvino_artifact
from tests.fakes import engine
from tests.fakes.broker import until
from tests.fakes.engine_bundles import rows_of, weights_of, write_engine_bundle

openvino = pytest.importorskip("openvino")

Damage = Callable[[bytes], bytes]


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What OpenVINO was asked to compile."""
    compile_model, asked = openvino.Core.compile_model, []

    def spy(core: Any, model: str, *arguments: Any) -> Any:
        asked.append(Path(model).parent.name)
        return compile_model(core, model, *arguments)

    monkeypatch.setattr(openvino.Core, "compile_model", spy)
    return asked


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Return the state directory of a device whose slot `a` is committed."""
    write(tmp_path / "bundle", 0)
    slots = Slots(tmp_path / "state")
    slots.commit(slots.stage(tmp_path / "bundle"))
    return tmp_path / "state"


def write(place: Path, seed: int) -> None:
    weights = weights_of(seed)
    write_engine_bundle(place, "openvino", openvino_artifact(weights), weights)


def cache_of(state: Path, slot: str = "a") -> Path:
    return state / "slots" / f"{slot}.cache"


def sealed(rest: bytes) -> bytes:
    return hashlib.sha256(rest).digest() + rest


def ask(runtime: Runtime, weights: int = 0) -> None:
    for seed in range(3):
        inputs = rows_of(seed, seed + 1)
        found, expected = runtime.infer(inputs), engine.answers(inputs, weights_of(weights))
        np.testing.assert_allclose(found.outputs["y"], expected["y"], atol=1e-5)
        np.testing.assert_array_equal(found.outputs["top"], expected["top"])


def serve(state: Path, threads: int = 1) -> None:
    with Runtime.attach(state, allow_unsigned=True, threads=threads) as runtime:
        ask(runtime)


def test_second_load_compiles_nothing(state: Path, compiled: list[str]) -> None:
    serve(state)
    assert compiled == ["a"]
    kept = cache_of(state).read_bytes()
    serve(state)
    assert (compiled, cache_of(state).read_bytes()) == (["a"], kept)


def test_staged_bundle_is_compiled_before_it_serves(
    state: Path, tmp_path: Path, compiled: list[str]
) -> None:
    write(tmp_path / "next", 1)
    with Runtime.attach(state, allow_unsigned=True, threads=1) as runtime:
        slot = Slots(state).stage(tmp_path / "next")
        runtime._doors.activate(slot)
        assert compiled == ["a", "b"]
        assert cache_of(state, "b").exists()
        ask(runtime, 1)
        assert compiled == ["a", "b"]


def test_engine_in_a_child_keeps_its_cache_for_all(state: Path, compiled: list[str]) -> None:
    with Runtime.attach(state, allow_unsigned=True, threads=1, isolation=Isolation()) as runtime:
        ask(runtime)
        until(cache_of(state).exists)
    serve(state)
    assert compiled == []


def test_cache_of_other_threads_is_none(state: Path, compiled: list[str]) -> None:
    serve(state, threads=1)
    serve(state, threads=2)
    serve(state, threads=2)
    assert compiled == ["a", "a"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[:-1],
        lambda _: b"",
        lambda whole: whole[:500] + bytes([whole[500] ^ 1]) + whole[501:],
        lambda whole: sealed(whole[32:64] + b"\x00garbage" * 100),
    ],
    ids=["truncated", "empty", "flipped", "garbage"],
)
def test_damaged_cache_is_compiled_anew_and_kept(
    state: Path, compiled: list[str], damage: Damage
) -> None:
    serve(state)
    cache_of(state).write_bytes(damage(cache_of(state).read_bytes()))
    serve(state)
    serve(state)
    assert compiled == ["a", "a"]


def test_cache_that_answers_wrongly_is_compiled_anew(state: Path, compiled: list[str]) -> None:
    serve(state)
    bound_to = cache_of(state).read_bytes()[32:64]
    cache_of(state).write_bytes(sealed(bound_to + cache_of_another_graph(state / "slots" / "a")))
    serve(state)
    serve(state)
    assert compiled == ["a", "other", "a"]


def cache_of_another_graph(bundle: Path) -> bytes:
    other = bundle.parents[1] / "other"
    other.mkdir()
    graph = (bundle / "model.xml").read_text()
    (other / "model.xml").write_text(graph.replace('type="Add"', 'type="Subtract"'))
    (other / "model.bin").write_bytes((bundle / "model.bin").read_bytes())
    config = {"CACHE_MODE": "OPTIMIZE_SIZE", "INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(str(other / "model.xml"), "CPU", config)
    exported: bytes = compiled.export_model().getvalue()
    return exported


def test_slot_without_room_for_a_cache_serves(state: Path, compiled: list[str]) -> None:
    cache_of(state).mkdir()
    serve(state)
    serve(state)
    assert compiled == ["a", "a"]


def test_bundle_outside_of_a_slot_has_a_cache_where_its_state_is(
    tmp_path: Path, compiled: list[str]
) -> None:
    write(tmp_path / "bundle", 0)
    for state in (None, None, tmp_path / "state", tmp_path / "state"):
        with Runtime.open(
            tmp_path / "bundle", allow_unsigned=True, threads=1, state_dir=state
        ) as opened:
            ask(opened)
    assert compiled == ["bundle"] * 3
    assert (tmp_path / "state" / "engine.cache").is_file()
