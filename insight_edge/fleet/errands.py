# SPDX-License-Identifier: Apache-2.0
"""What the agent does that takes time: judge what is desired, fetch, stage, upload.

Each kind of errand has a thread of its own, so that a long download does not keep
a newer revision waiting; within a kind they are done one after the other. What
came of one is told as news; every failure is news too. Nothing is decided here.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from insight_edge.documents.desired import Desired, Directors
from insight_edge.documents.device import Refusal
from insight_edge.documents.enrolment import Identity
from insight_edge.documents.job import Job
from insight_edge.errors import ExpiredError, FleetError, InsightEdgeError, StorageError
from insight_edge.fleet.identity import deployment_dir
from insight_edge.fleet.transfer.download import Source
from insight_edge.fleet.transfer.incoming import Incoming
from insight_edge.fleet.transfer.install import fetch_failed, stage, stage_failed
from insight_edge.fleet.transfer.upload import put_sample, sample_path
from insight_edge.fleet.trust.director import accept
from insight_edge.fleet.trust.order import believe_job, refuse_late, refuse_unbounded
from insight_edge.fleet.trust.repository import Trust
from insight_edge.fleet.update.events import Event, Fetched, FetchFailed, ManifestAccepted, Staged

JUDGING = "judging"
"""Phase of a refusal before any deployment is concerned."""

_MAY_PASS = (FleetError, StorageError, ExpiredError)
"""What may be over at the next look; a clock that was wrong may have been set."""

_log = logging.getLogger(__name__)


class Judged(NamedTuple):
    """A `Desired` that is to be believed.

    Attributes:
        payload: the bytes it came as.
    """

    desired: Desired
    payload: bytes


class Disbelieved(NamedTuple):
    """A `Desired` that is not, and why.

    Attributes:
        may_pass: nothing is wrong with it as far as is known; judging it again may help.
    """

    refusal: Refusal
    may_pass: bool


class Progressed(NamedTuple):
    """Something happened to the update of a deployment."""

    deployment: str
    event: Event


class JobJudged(NamedTuple):
    """What is to be thought of a job.

    Attributes:
        payload: the bytes it came as.
        job: None where it is not believed.
        error: why it is not believed, or not done; None where it may be done.
        may_pass: nothing is wrong with it as far as is known; judging it again may help.
    """

    payload: bytes
    job: Job | None = None
    error: InsightEdgeError | None = None
    may_pass: bool = False


News = Judged | Disbelieved | JobJudged | Progressed


class Errands:
    """Runs errands until `stop`.

    Args:
        state: directory of the agent.
        identity: of the device.
        tell: called with news, from other threads.
        clock: seconds since the epoch.

    Attributes:
        source: where files come from.
    """

    def __init__(
        self,
        state: Path,
        identity: Identity,
        tell: Callable[[News], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._state = state
        self._identity = identity
        self._trust = Trust(state, identity)
        self._trusting = threading.Lock()
        self._tell = tell
        self._clock = clock
        self.source = Source(cloud=identity.cloud, token=identity.secret)
        self._wanted: dict[str, object] = {}
        self._incoming: dict[str, Incoming] = {}
        self._stopping = threading.Event()
        self._pools = {
            kind: ThreadPoolExecutor(1, thread_name_prefix=f"insight-edge {kind}")
            for kind in ("judge", "fetch", "upload")
        }

    def judge(self, payload: bytes, revision: int, last: Desired | None) -> None:
        """Find out whether a `Desired` is to be believed; `Judged` or `Disbelieved` tells."""
        self._pools["judge"].submit(self._run, self._judge, payload, revision, last)

    def judge_job(self, payload: bytes) -> None:
        """Find out whether a `Job` is to be believed; `JobJudged` tells."""
        self._pools["judge"].submit(self._run, self._judge_job, payload)

    def fetch(self, deployment: str, bundle: str) -> None:
        """Check a manifest and fetch its files; `Fetched` or `FetchFailed` tells."""
        ticket = self._wanted[deployment] = object()
        self._pools["fetch"].submit(self._run, self._fetch, deployment, bundle, ticket)

    def stage(self, deployment: str, bundle: str) -> None:
        """Fill the idle slot with what was fetched; `Staged` or `StageFailed` tells."""
        ticket = self._wanted[deployment] = object()
        self._pools["fetch"].submit(self._run, self._stage, deployment, bundle, ticket)

    def cancel(self, deployment: str) -> None:
        """Give up what is fetched or staged for a deployment; nothing is told."""
        self._wanted.pop(deployment, None)

    def upload(self, samples: Mapping[str, str]) -> None:
        """Put samples, by their digest, where they are asked for; forget those that arrived."""
        for name, address in samples.items():
            for deployment in self._identity.deployments:
                path = sample_path(deployment_dir(self._state, deployment), name)
                if path is not None:
                    self._pools["upload"].submit(self._run, put_sample, path, address)

    def progress(self, deployment: str) -> tuple[int, int]:
        """Return the bytes that are here, and that there are, of what was fetched last."""
        incoming = self._incoming.get(deployment)
        return (0, 0) if incoming is None else (incoming.present_bytes, incoming.total_bytes)

    @property
    def slots(self) -> tuple[Path, ...]:
        """State directories of the deployments."""
        return tuple(deployment_dir(self._state, name) for name in self._identity.deployments)

    def manifest(self, bundle: str) -> tuple[bytes, float]:
        """Return the manifest of a bundle as of now, and the time to go by.

        It takes as long as the update repository, and comes from whichever thread asks.

        Raises:
            InsightEdgeError: as `Trust.refresh` and `Trust.manifest`.
        """
        with self._trusting:
            self._trust.refresh(self._clock())
            return self._trust.manifest(bundle), self._trust.now_s(self._clock())

    def stop(self) -> None:
        """Give up what is under way; it is gone on with by the next agent."""
        self._stopping.set()
        self._wanted.clear()
        for pool in self._pools.values():
            pool.shutdown(cancel_futures=True)

    def _run(self, errand: Callable[..., None], *arguments: object) -> None:
        try:
            errand(*arguments)
        except InsightEdgeError as error:
            _log.warning("%s", error)
        except Exception:  # noqa: BLE001 (the next errand may be the one that mends it)
            _log.exception("an errand failed in an unforeseen way")

    def _directors(self, now_s: float) -> tuple[Directors, float]:
        """Return who may say something as of now, and the time to go by."""
        with self._trusting:
            self._trust.refresh(now_s)
            return self._trust.directors(), self._trust.now_s(now_s)

    def _judge_job(self, payload: bytes) -> None:
        me, job = self._identity, None
        try:
            directors, now_s = self._directors(self._clock())
            job = believe_job(payload, directors, tenant=me.tenant, device=me.device)
            refuse_late(job, now_s)
            refuse_unbounded(job)
        except InsightEdgeError as error:
            self._tell(JobJudged(payload, _answered(job, error), error, _is_passing(error)))
        else:
            self._tell(JobJudged(payload, job))

    def _judge(self, payload: bytes, revision: int, last: Desired | None) -> None:
        me = self._identity
        now_s = self._clock()
        try:
            directors, now_s = self._directors(now_s)
            desired = accept(
                payload,
                directors,
                tenant=me.tenant,
                device=me.device,
                revision=revision,
                now_s=now_s,
                last=last,
            )
        except InsightEdgeError as error:
            kind = type(error).__name__
            refusal = Refusal(kind=kind, reason=str(error), phase=JUDGING, at_s=now_s)
            self._tell(Disbelieved(refusal, isinstance(error, _MAY_PASS)))
        else:
            self._tell(Judged(desired, payload))

    def _fetch(self, deployment: str, bundle: str, ticket: object) -> None:
        incoming: Incoming | None = None
        try:
            manifest, _ = self.manifest(bundle)
            self._news(deployment, ManifestAccepted(bundle), ticket)
            incoming = self._incoming[deployment] = Incoming(self._state, manifest)
            places = self._places(deployment)
            incoming.assemble(self.source, places, stop=lambda: self._is_over(deployment, ticket))
        except InsightEdgeError as error:
            gained_bytes = 0 if incoming is None else incoming.fetched_bytes
            self._news(deployment, fetch_failed(bundle, error, gained_bytes), ticket)
        except Exception as error:
            kind, reason = type(error).__name__, f"{type(error).__name__}: {error}"
            self._news(deployment, FetchFailed(bundle, kind, reason, final=False), ticket)
            raise
        else:
            self._news(deployment, Fetched(bundle), ticket)

    def _stage(self, deployment: str, bundle: str, ticket: object) -> None:
        if self._is_over(deployment, ticket):
            return
        try:
            slot = stage(self._state, deployment_dir(self._state, deployment), bundle)
        except InsightEdgeError as error:
            self._news(deployment, stage_failed(bundle, error), ticket)
        else:
            self._news(deployment, Staged(bundle, slot), ticket)

    def _news(self, deployment: str, event: Event, ticket: object) -> None:
        if not self._is_over(deployment, ticket):
            self._tell(Progressed(deployment, event))

    def _is_over(self, deployment: str, ticket: object) -> bool:
        return self._stopping.is_set() or self._wanted.get(deployment) is not ticket

    def _places(self, deployment: str) -> list[Path]:
        others = [name for name in self._identity.deployments if name != deployment]
        return [deployment_dir(self._state, name) for name in (deployment, *others)]


def _answered(job: Job | None, error: InsightEdgeError) -> Job | None:
    """Return a job whose sender is to know why it is not done.

    One that has expired may be an old message that comes once more, long after it was done.
    """
    return None if isinstance(error, ExpiredError) else job


def _is_passing(error: InsightEdgeError) -> bool:
    """Return whether a job should be judged again; its cloud says one that has expired anew."""
    return isinstance(error, FleetError | StorageError)
