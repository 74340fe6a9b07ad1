# SPDX-License-Identifier: Apache-2.0
"""What is told, and told again since a broker may lose it."""

import itertools
from pathlib import Path
from types import SimpleNamespace

import pytest

from insight_edge.documents.codec import decode_wire
from insight_edge.documents.device import Birth, DeploymentState, Reported
from insight_edge.documents.enrolment import Broker
from insight_edge.documents.topics import Kind
from insight_edge.fleet import telling
from insight_edge.fleet.telling import AGAIN_S, LONGEST_S, Telling
from tests.fakes.broker import identity
from tests.fakes.fleet_devices import FACTS

ME = identity("press-7", Broker(host="127.0.0.1", port=1))


class Line:
    """Takes what is published, or does not; and a clock."""

    def __init__(self) -> None:
        self.said: list[tuple[Kind, bytes]] = []
        self.up = True
        self.now_s = 1000.0

    def publish(self, kind: Kind, payload: bytes) -> bool:
        if self.up:
            self.said.append((kind, payload))
        return self.up

    def kinds(self) -> list[str]:
        found, self.said = [kind.value for kind, _ in self.said], []
        return found


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Line:
    made = Line()
    monkeypatch.setattr(telling, "time", SimpleNamespace(monotonic=lambda: made.now_s))
    return made


def tell(one: Telling, line: Line, revision: int = 1) -> None:
    one.tell(
        line.publish,
        {"camera-1": DeploymentState()},
        revision=revision,
        held=False,
        lost={},
        refusal=None,
    )


def test_state_is_told_once_and_at_every_change(tmp_path: Path, line: Line) -> None:
    one = Telling(tmp_path, ME, FACTS, lambda: line.now_s)
    for revision in (1, 1, 2, 2):
        tell(one, line, revision)
    assert line.kinds() == ["reported", "reported"]
    line.up = False
    tell(one, line, 3)
    line.up = True
    tell(one, line, 3)
    assert [decode_wire(Reported, payload).revision for _, payload in line.said] == [3]


def test_birth_and_state_are_told_again_after_growing_pauses(tmp_path: Path, line: Line) -> None:
    one = Telling(tmp_path, ME, FACTS, lambda: line.now_s)
    first = one.birth("s1")
    tell(one, line)
    assert line.kinds() == ["reported"]
    told_s = []
    for _ in range(7200):
        line.now_s += 1.0
        tell(one, line)
        if line.said:
            assert line.said[0] == (Kind.BIRTH, first), "byte for byte: the cloud knows it is one"
            assert line.kinds() == ["birth", "reported"]
            told_s.append(line.now_s - 1000.0)
    pauses_s = [b - a for a, b in itertools.pairwise(told_s)]
    assert told_s[0] == AGAIN_S
    assert pauses_s[:3] == [2 * AGAIN_S, 4 * AGAIN_S, 8 * AGAIN_S]
    assert pauses_s[-1] == LONGEST_S


def test_new_session_begins_with_short_pauses(tmp_path: Path, line: Line) -> None:
    one = Telling(tmp_path, ME, FACTS, lambda: line.now_s)
    one.birth("s1")
    for _ in range(600):
        line.now_s += 1.0
        tell(one, line)
    line.kinds()
    second = one.birth("s2")
    line.now_s += AGAIN_S
    tell(one, line)
    assert line.said[0] == (Kind.BIRTH, second)
    assert decode_wire(Birth, second).session == "s2"
