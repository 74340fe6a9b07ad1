# SPDX-License-Identifier: Apache-2.0
"""A subject of an interpreter that is not to be timed answers, and has no blocks."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from insight_edge.bench.interpreter import Interpreter
from insight_edge.bench.subject import SubjectProcess
from insight_edge.errors import ConfigurationError
from tests.fakes import engine
from tests.fakes.engine_bundles import install_fake_engine, rows_of, weights_of, write_fake_bundle


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "installed").mkdir()
    install_fake_engine(tmp_path / "installed", monkeypatch)
    write_fake_bundle(tmp_path / "b")
    return tmp_path / "b"


def test_it_answers_and_is_never_timed(bundle: Path) -> None:
    variables = {"PYTHONPATH": os.environ["PYTHONPATH"]}
    slow = Interpreter(command=(sys.executable, "-s"), variables=variables, timed=False)
    with SubjectProcess(bundle, python=slow) as subject:
        assert subject.loaded.call_s == 0
        found = subject.answer(rows_of(1, 3))
        with pytest.raises(ValueError, match="says nothing about the machine"):
            subject.block(1)
    assert np.allclose(found["y"], engine.answers(rows_of(1, 3), weights_of(0))["y"])


def test_emulator_that_is_not_there_is_one_line(bundle: Path) -> None:
    with pytest.raises(ConfigurationError, match="no-such-emulator cannot be run"):
        SubjectProcess(bundle, python=Interpreter(command=("no-such-emulator", "python")))
