# SPDX-License-Identifier: Apache-2.0
"""A device around `update.advance`: its disk, its host and its clock, without any I/O.

It carries out what it is asked for, right or wrong as it is told, and refuses what
no order of events may lead to: two things at once, an unproven commit, a slot
that is not what it should be.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec.structs import replace

from insight_edge.documents.host import Health, SwapRecord
from insight_edge.fleet.update.actions import (
    Action,
    ActivateSlot,
    CancelFetch,
    CommitSlot,
    FetchBundle,
    ReportState,
    RestoreSlot,
    StageBundle,
)
from insight_edge.fleet.update.events import (
    Activated,
    ActivationRefused,
    CommitFailed,
    Committed,
    Event,
    Fetched,
    FetchFailed,
    HealthSeen,
    HostCame,
    HostLeft,
    ManifestAccepted,
    Restarted,
    Staged,
    StageFailed,
    Tick,
    Wanted,
)
from insight_edge.fleet.update.policy import Policy
from insight_edge.fleet.update.protocol import advance
from insight_edge.fleet.update.state import UpdateState, durable

POLICY = Policy(
    retry_first_s=10.0,
    retry_most_s=80.0,
    probation_s=30.0,
    probation_most_s=300.0,
    least_answered=100,
    least_asked=20,
    most_losses=3,
)
STEP_S = 5.0


def health(serving: str | None, asked: int = 200, failed: int = 0, p99_ms: float = 4.0) -> Health:
    return Health(
        serving=serving,
        asked=asked,
        answered=asked - failed,
        failed=failed,
        p99_ms=p99_ms,
        rss_bytes=100_000_000,
    )


def swap(origin: str | None, target: str) -> SwapRecord:
    return SwapRecord(
        origin=origin, target=target, stage_ms=1, verify_ms=1, warm_ms=1, flip_ms=0, drain_ms=0,
        retire_ms=0, in_flight=0,
    )  # fmt: skip


@dataclass
class World:
    """One deployment.

    Attributes:
        ways: how a bundle behaves: `unfetchable`, `unloadable`, `crashing`, `failing` or `slow`;
            one that is not here is good.
        slots: digest by slot.
        state: in the agent's memory.
        written: what the journal holds.
        under_way: the action that is being carried out.
        activated: bundles that the host was seen to serve since they were staged.
        done: actions, in order.
        windows: closed so far, one whenever time passes.
    """

    ways: dict[str, str] = field(default_factory=dict)
    slots: dict[str, str] = field(default_factory=dict)
    committed: str | None = None
    alive: bool = False
    serving: str | None = None
    state: UpdateState = field(default_factory=UpdateState)
    written: UpdateState = field(default_factory=UpdateState)
    under_way: Action | None = None
    activated: set[str] = field(default_factory=set)
    done: list[Action] = field(default_factory=list)
    now_s: float = 1_000_000.0
    revision: int = 0
    deaf: bool = False
    windows: int = 0

    def phase(self) -> str:
        return self.state.phase

    def tell(self, event: Event) -> tuple[Action, ...]:
        if isinstance(event, Activated):
            self.activated.add(event.record.target)
        if isinstance(event, HostCame) and event.serving is not None:
            self.activated.add(event.serving)
        if self.deaf:
            return ()
        self.state, actions = advance(self.state, event, self.now_s, POLICY)
        if durable(self.state) != durable(self.written):
            self.written = self.state
        for action in actions:
            self._begin(action)
        self.done += actions
        return actions

    def want(self, bundle: str) -> tuple[Action, ...]:
        self.revision += 1
        return self.tell(Wanted(bundle, self.revision))

    def pass_time(self, seconds_s: float = STEP_S) -> None:
        self.now_s += seconds_s
        self.windows += 1
        self.tell(Tick())

    def start_host(self) -> None:
        """Start the host as `Runtime.attach` does: with the committed slot, or the other one."""
        self.stop_host()
        self.alive = True
        order = [self.committed, *(slot for slot in "ab" if slot != self.committed)]
        held = [self.slots[slot] for slot in order if slot in self.slots] if self.committed else []
        loads = [one for one in held if self.ways.get(one) not in {"unloadable", "crashing"}]
        self.serving = loads[0] if loads else None
        self.tell(HostCame(self.serving))

    def stop_host(self) -> None:
        if self.alive:
            self.alive, self.serving = False, None
            self._forget(ActivateSlot, RestoreSlot)
            self.tell(HostLeft())

    def hang_up(self) -> None:
        """Lose the connection to a host that goes on."""
        if self.alive:
            self._forget(ActivateSlot, RestoreSlot)
            self.tell(HostLeft())
            self.tell(HostCame(self.serving))

    def restart_agent(self) -> None:
        """Kill the agent: what it had under way is gone, the journal and the disk are not."""
        self.under_way = None
        self.state = self.written
        self.tell(Restarted(self.committed, dict(self.slots)))
        if self.alive:
            self.tell(HostCame(self.serving))

    def see_health(self) -> None:
        if self.alive:
            way = self.ways.get(self.serving or "")
            failed = 50 if way == "failing" else 0
            told = health(self.serving, failed=failed, p99_ms=40 if way == "slow" else 4)
            self.tell(HealthSeen(replace(told, window=self.windows)))

    def finish(self, *, well: bool = True, twice: bool = False) -> None:
        """Carry out what is under way; done twice, it must be the same."""
        action = self.under_way
        if action is None:
            return
        self.under_way = None
        steps: dict[type[Action], Callable[[str, bool], None]] = {
            FetchBundle: self._fetch,
            StageBundle: self._stage,
            ActivateSlot: self._activate,
            RestoreSlot: self._activate,
            CommitSlot: self._commit,
        }
        (subject,) = (getattr(action, name) for name in action.__struct_fields__)
        for _ in range(1 + twice):
            steps[type(action)](subject, well)

    def finish_unheard(self) -> None:
        """Kill the agent after it has done something and before it could note it."""
        self.deaf = True
        self.finish()
        self.deaf = False
        self.restart_agent()

    def settle(self, steps: int = 400) -> None:
        """Let the world behave until long after nothing happens any more."""
        for _ in range(steps):
            if not self.alive:
                self.start_host()
            self.finish()
            self.see_health()
            self.pass_time()

    def _begin(self, action: Action) -> None:
        if isinstance(action, ReportState):
            return
        if isinstance(action, CancelFetch):
            self._forget(FetchBundle, StageBundle)
            return
        assert self.under_way is None, f"{action} beside {self.under_way}"
        target = self.state.target
        match action:
            case ActivateSlot(slot):
                assert target is not None
                assert self.slots[slot] == target.bundle
                assert self.alive
            case CommitSlot(slot):
                assert target is not None
                assert self.slots[slot] == target.bundle
                assert self.committed is None or target.bundle in self.activated
            case RestoreSlot(slot):
                assert slot == self.committed
                assert self.alive
            case _:
                pass
        self.under_way = action

    def _forget(self, *kinds: type[Action]) -> None:
        if isinstance(self.under_way, kinds):
            self.under_way = None

    def _fetch(self, bundle: str, well: bool) -> None:
        final = self.ways.get(bundle) == "unfetchable"
        if final or not well:
            kind = "TamperedError" if final else "DownloadError"
            self.tell(FetchFailed(bundle, kind, "no", final))
            return
        self.tell(ManifestAccepted(bundle))
        self.tell(Fetched(bundle))

    def _stage(self, bundle: str, well: bool) -> None:
        idle = "b" if self.committed == "a" else "a"
        self.slots.pop(idle, None)
        self.activated.discard(bundle)
        if well:
            self.slots[idle] = bundle
            self.tell(Staged(bundle, idle))
        else:
            self.tell(StageFailed(bundle, "StorageError", "full"))

    def _activate(self, slot: str, well: bool) -> None:
        bundle = self.slots[slot]
        if not self.alive:
            return
        if not well:
            self.tell(ActivationRefused("request", "UpdateError", "another swap is under way"))
        elif self.ways.get(bundle) == "unloadable":
            self.tell(ActivationRefused("verify", "SelfCheckError", "golden samples disagree"))
        elif self.ways.get(bundle) == "crashing":
            self.stop_host()
        else:
            record = swap(self.serving, bundle)
            self.serving = bundle
            self.tell(Activated(record))

    def _commit(self, slot: str, well: bool) -> None:
        if not well:
            self.tell(CommitFailed("StorageError", "read-only"))
            return
        assert slot in self.slots
        self.committed = slot
        self.tell(Committed(slot))
