# SPDX-License-Identifier: Apache-2.0
"""Children that crash or hang are replaced, and the task that they were at has the reason."""

from pathlib import Path

import pytest

from conformance.crew import Crew
from tests.fakes import harsh_roles

TASK = {"model": "nowhere"}


@pytest.fixture
def crew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Crew:
    monkeypatch.setattr("conformance.crew.WORKER", harsh_roles.__name__)
    return Crew(limit_s=20, log=tmp_path / "log")


def test_child_answers_task_after_task(crew: Crew) -> None:
    with crew:
        first, second = (crew.ask("pid", "", TASK) for _ in range(2))
    assert first == second


def test_crash_is_told_and_the_next_task_has_a_new_child(crew: Crew) -> None:
    with crew:
        assert crew.ask("mixed", "", TASK | {"do": "answer"}) == {"did": "answer"}
        lost = crew.ask("mixed", "", TASK | {"do": "crash"})
        assert lost == {"lost": "the process was killed by SIGSEGV", "signal": 11}
        assert crew.ask("mixed", "", TASK | {"do": "exit"})["lost"].endswith("code 3")
        assert crew.ask("mixed", "", TASK | {"do": "answer"}) == {"did": "answer"}


def test_what_a_role_raises_or_prints_is_no_answer(crew: Crew, tmp_path: Path) -> None:
    with crew:
        raised = crew.ask("mixed", "", TASK | {"do": "raise"})
        assert raised == {"error": "ValueError: no", "ours": False}
        assert crew.ask("mixed", "", TASK | {"do": "print"}) == {"did": "print"}
    assert "loud" in (tmp_path / "log").read_text()


def test_hanging_child_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conformance.crew.WORKER", harsh_roles.__name__)
    with Crew(limit_s=3, log=tmp_path / "log") as crew:
        assert crew.ask("mixed", "", TASK | {"do": "hang"})["lost"] == "over the time limit of 3 s"
