# SPDX-License-Identifier: Apache-2.0
"""An engine in a child answers as it does here; `tests/conformance --long` asks it everything."""

import resource
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from insight_edge.bundle.open import open_bundle
from insight_edge.errors import EngineMissingError, InferenceFailedError, LoadFailedError
from insight_edge.runtime.child.area import LEAST_BYTES
from insight_edge.runtime.child.session import ChildSession, load_isolated
from insight_edge.runtime.isolation import Isolation
from insight_edge.runtime.loading import load_session
from tests.fakes import engine
from tests.fakes.engine_bundles import (
    fake_artifact,
    install_fake_engine,
    rows_of,
    weights_of,
    write_engine_bundle,
    write_fake_bundle,
)


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ChildSession]:
    (tmp_path / "installed").mkdir()
    install_fake_engine(tmp_path / "installed", monkeypatch)
    write_fake_bundle(tmp_path / "b", {"at": "1", "do": "fail"})
    bundle = open_bundle(tmp_path / "b", allow_unsigned=True)
    found = load_isolated(bundle, bundle.variant(), Isolation(), threads=1)
    yield found
    found.close()


def assert_right(session: ChildSession, rows: int) -> None:
    inputs = rows_of(rows, rows)
    found, expected = session.infer(inputs), engine.answers(inputs, weights_of(0))
    assert list(found) == list(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
        assert found[name].flags.owndata


def test_answers_are_the_engines_whatever_their_size(session: ChildSession) -> None:
    wide = LEAST_BYTES // 8
    assert_right(session, wide)
    with pytest.raises(InferenceFailedError, match="ArithmeticError: planted"):
        session.infer(rows_of(1, 1))
    wrong: list[BaseException] = []

    def ask(rows: int) -> None:
        try:
            for _ in range(20):
                assert_right(session, rows)
        except BaseException as error:  # noqa: BLE001 (a thread's failure is this test's)
            wrong.append(error)

    callers = [threading.Thread(target=ask, args=(rows,)) for rows in (1, 3, wide, 2 * wide)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert wrong == []


def test_no_descriptor_is_an_error_that_ends_no_child_and_a_closed_one_stays_closed(
    session: ChildSession,
) -> None:
    session.infer(rows_of(1, 1))
    pid = session.pid
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            session.infer(rows_of(1, LEAST_BYTES))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert session.pid == pid
    session.close()
    for _ in range(2):
        with pytest.raises(InferenceFailedError, match="the engine's child is closed"):
            session.infer(rows_of(1, 1))


@pytest.mark.parametrize(
    ("token", "error"), [(engine.TOKEN, LoadFailedError), ("no-such", EngineMissingError)]
)
def test_what_cannot_be_loaded_raises_what_it_raises_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token: str, error: type[Exception]
) -> None:
    (tmp_path / "installed").mkdir()
    install_fake_engine(tmp_path / "installed", monkeypatch)
    garbage = dict.fromkeys(fake_artifact(weights_of(0)), b"garbage")
    write_engine_bundle(tmp_path / "b", token, garbage, weights_of(0))
    bundle = open_bundle(tmp_path / "b", allow_unsigned=True)
    told = []
    for load in (load_session, partial(load_isolated, isolation=Isolation())):
        with pytest.raises(error) as caught:
            load(bundle, bundle.variant(), threads=1)
        told.append((str(caught.value), getattr(caught.value, "hint", None)))
    assert told[0] == told[1]


@pytest.mark.parametrize("bound", [{"memory_bytes": 0}, {"call_s": -1.0}, {"load_s": 0.0}])
def test_bounds_are_above_zero(bound: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="above 0 is needed"):
        Isolation(**bound)  # type: ignore[arg-type]
