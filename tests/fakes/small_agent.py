# SPDX-License-Identifier: Apache-2.0
"""An agent of one deployment whose host is a line in a file; for tests of being killed.

    python -m tests.fakes.small_agent <base> <work> <cloud> <token> <bundle> <every>

copies the device `<base>`, updates the copy to `<bundle>`, and is killed with -9 in
the n-th change of its disk, in the middle of it where it is a write. Then it
looks at what is left and lets the update go on. So for n = 1, 1 + every, ..., until
an update was not killed; the last line says how many were.
"""

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from insight_edge.bundle.slots import Slots
from insight_edge.documents.host import Health, SwapRecord
from insight_edge.errors import InsightEdgeError
from insight_edge.fleet.journal import Journal
from insight_edge.fleet.transfer.download import Source
from insight_edge.fleet.transfer.incoming import Incoming, sweep
from insight_edge.fleet.transfer.install import fetch_failed, restarted, stage, stage_failed
from insight_edge.fleet.update.actions import (
    Action,
    ActivateSlot,
    CommitSlot,
    FetchBundle,
    RestoreSlot,
    StageBundle,
)
from insight_edge.fleet.update.events import (
    Activated,
    Committed,
    Event,
    Fetched,
    HealthSeen,
    HostCame,
    ManifestAccepted,
    Staged,
    Tick,
    Wanted,
)
from insight_edge.fleet.update.policy import Policy
from insight_edge.fleet.update.state import UpdateState

NAME = "camera-1"
POLICY = Policy(probation_s=20.0, least_answered=10)

CALLS = ("open", "write", "fsync", "mkdir", "rename", "replace", "unlink", "rmdir")


class SmallAgent:
    """Carries out what the protocol asks for, at once.

    Args:
        state: directory of the agent; `manifests/<hex>` in it is what trust would fetch.
        source: of blobs.

    Attributes:
        fetched_bytes: downloaded.
    """

    def __init__(self, state: Path, source: Source) -> None:
        self.state, self.source = state, source
        self.deployment = state / "deployments" / NAME
        self.deployment.mkdir(parents=True, exist_ok=True)
        self.journal = Journal(state, [NAME])
        self.now_s = 1_000_000.0
        self.fetched_bytes = 0
        self.tell(restarted(self.deployment))
        self.tell(HostCame(self.serving))

    @property
    def update(self) -> UpdateState:
        return self.journal.update(NAME)

    @property
    def serving(self) -> str | None:
        host = self.deployment / "host"
        return host.read_text() if host.exists() else None

    def run(self, bundle: str, revision: int, steps: int = 40) -> None:
        """Update to a bundle, as long as there is something to do."""
        sweep(self.state, {bundle})
        self.tell(Wanted(bundle, revision))
        for _ in range(steps):
            if self.update.phase == "idle":
                return
            self.tell(HealthSeen(_health(self.serving)))
            self.now_s += 7.0
            self.tell(Tick())

    def tell(self, event: Event) -> None:
        for action in self.journal.advance(NAME, event, self.now_s, POLICY):
            self._do(action)

    def _do(self, action: Action) -> None:
        match action:
            case FetchBundle(bundle):
                self._fetch(bundle)
            case StageBundle(bundle):
                try:
                    slot = stage(self.state, self.deployment, bundle)
                except InsightEdgeError as error:
                    self.tell(stage_failed(bundle, error))
                else:
                    self.tell(Staged(bundle, slot))
            case ActivateSlot(slot) | RestoreSlot(slot):
                self.tell(Activated(_swap(self.serving, self._swapped(slot))))
            case CommitSlot(slot):
                Slots(self.deployment).commit(slot)
                self.tell(Committed(slot))
            case _:
                pass

    def _fetch(self, bundle: str) -> None:
        manifest = (self.state / "manifests" / bundle.removeprefix("sha256:")).read_bytes()
        incoming = Incoming(self.state, manifest)
        try:
            self.tell(ManifestAccepted(bundle))
            incoming.assemble(self.source, [self.deployment], reserve_bytes=0)
        except InsightEdgeError as error:
            self.tell(fetch_failed(bundle, error, incoming.fetched_bytes))
        else:
            self.tell(Fetched(bundle))
        finally:
            self.fetched_bytes += incoming.fetched_bytes

    def _swapped(self, slot: str) -> str:
        opened = Slots(self.deployment).bundle(slot, allow_unsigned=False)
        (self.deployment / "host").write_text(opened.digest)
        return opened.digest


def _health(serving: str | None) -> Health:
    return Health(serving=serving, asked=50, answered=50, failed=0, p99_ms=1.0, rss_bytes=1)


def _swap(origin: str | None, target: str) -> SwapRecord:
    return SwapRecord(
        origin=origin, target=target, stage_ms=1, verify_ms=1, warm_ms=1, flip_ms=0, drain_ms=0,
        retire_ms=0, in_flight=0,
    )  # fmt: skip


def _kill_at(last: int) -> None:
    """Let this process be killed in the `last`-th change of the disk from now on."""
    calls = 0

    def stand_in(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == last:
                if name == "write":
                    real(arguments[0], arguments[1][: len(arguments[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **keywords)

        return call

    for name in CALLS:
        setattr(os, name, stand_in(name, getattr(os, name)))


def _was_killed(state: Path, source: Source, bundle: str, last: int) -> bool:
    """Update in a child that is killed in its `last`-th change; return whether it was."""
    child = os.fork()
    if child == 0:
        _kill_at(last)
        SmallAgent(state, source).run(bundle, 2)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0, f"cut {last}: the update failed"
    return False


def _check_left(state: Path, bundle: str, last: int) -> None:
    """The committed slot opens as signed, whatever was going on; so does what the host serves."""
    slots = Slots(state / "deployments" / NAME)
    committed = slots.committed
    assert committed is not None
    held = slots.bundle(committed, allow_unsigned=False)
    other = slots.idle
    served = (state / "deployments" / NAME / "host").read_text()
    if committed == "a":
        assert held.digest != bundle, f"cut {last}"
    if served != held.digest:
        assert slots.bundle(other, allow_unsigned=False).digest == served, f"cut {last}"


def main() -> None:
    base, work, cloud, token, bundle, every = sys.argv[1:]
    source = Source(cloud=cloud, token=token)
    kills, last = 0, 1
    while True:
        state = Path(work) / str(last)
        shutil.copytree(base, state)
        killed = _was_killed(state, source, bundle, last)
        _check_left(state, bundle, last)
        agent = SmallAgent(state, source)
        agent.run(bundle, 2)
        assert agent.update.phase == "idle", f"cut {last}: {agent.update}"
        assert agent.serving == bundle == agent.update.committed, f"cut {last}: {agent.update}"
        assert agent.update.refusal is None, f"cut {last}: {agent.update}"
        left = {path.name for path in (state / "incoming").iterdir()}
        assert left == set(), f"cut {last}: {left}"
        assert {path.name for path in (agent.deployment / "slots").iterdir()} == {"a", "b"}
        shutil.rmtree(state)
        if not killed:
            break
        kills, last = kills + 1, last + int(every)
    sys.stdout.write(f"{kills}\n")


if __name__ == "__main__":
    main()
