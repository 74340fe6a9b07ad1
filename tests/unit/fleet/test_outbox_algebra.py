# SPDX-License-Identifier: Apache-2.0
"""Whatever order things happen in, an outbox does what a list in memory would."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from insight_edge.documents.codec import digest
from insight_edge.documents.topics import Kind
from insight_edge.fleet.link.outbox import Outbox
from insight_edge.fleet.link.queueing import KEPT, LONGEST_PAUSE_S, give_way, pause_s, room_bytes

MAX_BYTES = 2_500

payloads = st.tuples(st.integers(0, 30), st.integers(1, 900)).map(
    lambda pair: bytes([pair[0]]) * pair[1]
)


class AsAList(RuleBasedStateMachine):
    """An outbox beside a list of [digest, kind, payload, attempts, due_s]."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.waiting: dict[str, tuple[Kind, bytes]] = {}
        self.attempts: dict[str, tuple[int, float]] = {}
        self.gone: list[str] = []
        self.lost: dict[str, int] = {}
        self.now_s = 0.0

    @initialize()
    def open(self) -> None:
        path = Path(self.folder.name) / "agent.sqlite"
        self.outbox = Outbox(path, max_bytes=MAX_BYTES, share=lambda: 1.0)

    @rule()
    def restart(self) -> None:
        self.outbox.close()
        self.open()

    @rule(kind=st.sampled_from(KEPT), payload=payloads)
    def put(self, kind: Kind, payload: bytes) -> None:
        name = self.outbox.put(kind, payload)
        assert name == digest(payload)
        if name in self.waiting:
            return
        leaving = give_way(self.taken(), kind, room_bytes(1, len(payload)), MAX_BYTES)
        if leaving is None:
            self.lost[kind.value] = self.lost.get(kind.value, 0) + 1
            return
        for other, missing_bytes in leaving.items():
            self.give_up(other, missing_bytes)
        self.waiting[name] = (kind, payload)

    def give_up(self, kind: Kind, missing_bytes: int) -> None:
        for name in [one for one, (other, _) in self.waiting.items() if other is kind]:
            if missing_bytes <= 0:
                break
            missing_bytes -= room_bytes(1, len(self.waiting.pop(name)[1]))
            self.attempts.pop(name, None)
            self.gone.append(name)
            self.lost[kind.value] = self.lost.get(kind.value, 0) + 1

    @rule(data=st.data())
    def send(self, data: st.DataObject) -> None:
        names = data.draw(st.lists(st.sampled_from([*self.waiting, *self.gone, digest(b"?")])))
        self.outbox.sent(names, self.now_s)
        for name in names:
            if name in self.waiting:
                attempts = self.attempts.get(name, (0, 0.0))[0] + 1
                self.attempts[name] = (attempts, self.now_s + pause_s(attempts, 1.0))

    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        names = data.draw(st.lists(st.sampled_from([*self.waiting, *self.gone, digest(b"?")])))
        known = {name for name in names if name in self.waiting}
        assert self.outbox.acknowledge(names) == len(known)
        for name in known:
            del self.waiting[name]
            self.attempts.pop(name, None)
            self.gone.append(name)

    @rule(seconds=st.floats(-2 * LONGEST_PAUSE_S, 2 * LONGEST_PAUSE_S))
    def wait(self, seconds: float) -> None:
        self.now_s += seconds

    @rule(limit=st.integers(0, 20), data=st.data())
    def ask(self, limit: int, data: st.DataObject) -> None:
        besides = data.draw(st.lists(st.sampled_from([*self.waiting, digest(b"?")]), unique=True))
        ripe = [name for name in self.waiting if self.is_due(name) and name not in besides]
        found = self.outbox.due(limit, self.now_s, besides=besides)
        assert len(found) == min(limit, len(ripe))
        for kind in KEPT:
            mine = [one.digest for one in found if one.kind is kind]
            assert mine == [one for one in ripe if self.waiting[one][0] is kind][: len(mine)]
        for message in found:
            assert self.waiting[message.digest] == (message.kind, message.payload)

    def is_due(self, name: str) -> bool:
        due_s = self.attempts.get(name, (0, 0.0))[1]
        return due_s <= self.now_s or due_s > self.now_s + LONGEST_PAUSE_S

    def taken(self) -> dict[Kind, int]:
        taken = dict.fromkeys(KEPT, 0)
        for kind, payload in self.waiting.values():
            taken[kind] += room_bytes(1, len(payload))
        return taken

    @invariant()
    def adds_up(self) -> None:
        held = self.outbox.waiting
        assert {kind: room_bytes(*one) for kind, one in held.items()} == {
            kind: taken for kind, taken in self.taken().items() if taken
        }
        assert sum(room_bytes(*one) for one in held.values()) <= MAX_BYTES
        assert self.outbox.lost == self.lost

    def teardown(self) -> None:
        self.outbox.close()
        self.folder.cleanup()


TestOutboxAlgebra = AsAList.TestCase
TestOutboxAlgebra.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
