# SPDX-License-Identifier: Apache-2.0
"""A cloud with devices of two profiles and bundles of three versions; the devices only talk.

Making it takes a second, so it is made once and copied. Everything is real but the
devices, which say what a test wants them to say.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from insight_cloud.devices.service import Devices
from insight_cloud.platform.blobs import open_blobs
from insight_cloud.platform.database import Database, open_database
from insight_cloud.registry.service import Registry
from insight_cloud.releases.keys import Keys, init_keys
from insight_cloud.releases.service import Releases
from insight_cloud.rollouts.plan import Plan
from insight_cloud.rollouts.rollout import Rollout
from insight_cloud.rollouts.service import Rollouts
from insight_cloud.telemetry.service import Telemetry
from insight_edge.bundle.write import write_bundle
from insight_edge.documents.device import DeploymentState, Refusal
from insight_edge.documents.job import JobState
from insight_edge.documents.profile import HardwareProfile
from insight_edge.documents.report import Counts, Window
from insight_edge.documents.statistics import document_from_latency
from insight_edge.stats.latency import LatencyHistogram
from tests.fakes.bundles import bundle_files, bundle_manifest
from tests.fakes.fleet_devices import NOW, birth, death, request, state, told
from tests.fakes.hardware import profile_of
from tests.fakes.migrated import migrated_database
from tests.fakes.telemetry import KNOWN, message, outcome, predictions, report

MODEL, DEPLOYMENT = "digits", "camera-1"
PROFILES: Mapping[str, HardwareProfile] = {
    name: msgspec.structs.replace(profile_of(), id=name) for name in ("box", "lab")
}
VERSIONS = (1, 2, 3)
PLAN = Plan(soak_s=60.0, deadline_s=3600.0, least_calls=20)


def make_world(folder: Path) -> None:
    """Make a cloud: keys, tables, and a bundle of each version for each profile."""
    folder.mkdir(parents=True)
    init_keys(folder / "keys")
    database = migrated_database(folder / "cloud.sqlite")
    releases = _releases(folder, database)
    for version in VERSIONS:
        for profile in PROFILES:
            publish(releases, folder, version, profile)
    database.close()


def publish(releases: Releases, folder: Path, version: int, profile: str) -> str:
    """Publish a bundle and return its digest."""
    files = bundle_files(f"{profile}-{version}".encode())
    manifest = bundle_manifest(files)
    model = msgspec.structs.replace(manifest.model, name=MODEL, version=version)
    manifest = msgspec.structs.replace(manifest, profile=profile, model=model)
    directory = folder / f"{profile}-{version}"
    write_bundle(directory, manifest, files)
    return releases.publish(directory, by="Ada", now=NOW).bundle


@dataclass
class World:
    """One cloud and what its devices have in their slots.

    Attributes:
        database: what all rooms use, and a test may have wrapped.
        accepted: revision that each device has accepted.
        committed: what each device has committed.
        said: reports of each device.
    """

    folder: Path
    database: Database
    devices: Devices
    releases: Releases
    telemetry: Telemetry
    rollouts: Rollouts
    profiles: dict[str, HardwareProfile]
    now: datetime = NOW
    accepted: dict[str, int] = field(default_factory=dict)
    committed: dict[str, str | None] = field(default_factory=dict)
    said: dict[str, int] = field(default_factory=dict)

    def later(self, **time: float) -> None:
        self.now += timedelta(**time)

    def bundle(self, version: int, profile: str = "box") -> str:
        return next(
            one.bundle
            for one in self.releases.releases(MODEL)
            if (one.version, one.profile) == (version, profile)
        )

    def add(
        self,
        *names: str,
        profile: str = "box",
        version: int | None = 1,
        deployment: str = DEPLOYMENT,
    ) -> None:
        """Enrol devices that are online and run a version for good."""
        for name in names:
            token = self.devices.invite(
                name, by="ann", expires=self.now + timedelta(hours=1), now=self.now
            )
            asked = request(token, profile=profile, deployments=(deployment,))
            self.devices.enrol(asked, profiles=PROFILES, now=self.now)
            self.online(name)
            self.committed[name] = None
            if version is not None:
                bundle = self.bundle(version, profile)
                self.devices.set_desired(name, DEPLOYMENT, bundle, by="ann", now=self.now)
                self.take(name)

    def online(self, name: str) -> None:
        at_s = self.now.timestamp()
        self._say(name, birth(f"s-{at_s}", device=name, at_s=at_s))

    def offline(self, name: str) -> None:
        session = self.devices.device(name).born
        assert session is not None
        self._say(name, death(f"s-{session.timestamp()}", device=name))

    def wanted(self, name: str) -> str | None:
        """Return the bundle that a device should run."""
        found = self.devices.desired(name)
        return None if found is None else found.deployments[DEPLOYMENT].bundle

    def take(self, name: str) -> None:
        """Let a device accept what is desired, and commit it."""
        wanted = self.wanted(name)
        self._accept(name)
        self.committed[name] = wanted
        self.tell(name, serving=wanted, committed=wanted)

    def fetch(self, name: str) -> None:
        """Let a device accept what is desired, and be under way to it."""
        self._accept(name)
        held = self.committed[name]
        target = self.wanted(name)
        self.tell(name, serving=held, committed=held, target=target, phase="fetching")

    def refuse(self, name: str, kind: str = "SelfCheckError") -> None:
        """Let a device accept what is desired, and refuse the bundle."""
        self._accept(name)
        held, wanted = self.committed[name], self.wanted(name)
        refusal = Refusal(
            kind=kind,
            reason="verify: the golden samples disagree",
            phase="activating",
            bundle=wanted,
            at_s=self.now.timestamp(),
        )
        self.tell(name, serving=held, committed=held, refusal=refusal)

    def give_up(self, name: str) -> None:
        """Let a device have given the bundle up in its probation."""
        self._accept(name)
        held, wanted = self.committed[name], self.wanted(name)
        refusal = Refusal(
            kind="UpdateError",
            reason="30 of 100 calls failed",
            phase="probation",
            bundle=wanted,
            at_s=self.now.timestamp(),
        )
        self.tell(name, serving=held, committed=held, refusal=refusal, restored_from=wanted)

    def tell(
        self, name: str, *, held: bool = False, jobs: tuple[JobState, ...] = (), **standing: Any
    ) -> None:
        """Let a device say how its deployment stands, and its jobs."""
        deployments = {DEPLOYMENT: DeploymentState(**{"attached": True, **standing})}
        revision = self.accepted.get(name, 0)
        at_s = self.now.timestamp()
        told_state = state(
            revision, at_s, device=name, held=held, deployments=deployments, jobs=jobs
        )
        self._say(name, told_state)

    def count(
        self,
        name: str,
        asked: int,
        *,
        failed: int = 0,
        flagged: int = 0,
        latency_ms: float = 1.0,
        bundle: str | None = None,
    ) -> None:
        """Let a device have counted calls with what it has committed."""
        latency = LatencyHistogram()
        latency.observe_ns(np.full(asked - failed, int(latency_ms * 1e6), np.int64))
        number = self.said[name] = self.said.get(name, 0) + 1
        now_s = self.now.timestamp()
        one = report(
            number,
            rows=0,
            device=name,
            deployment=DEPLOYMENT,
            bundle=bundle or self.committed[name],
            window=Window(opened_s=now_s - 1, closed_s=now_s),
            counts=Counts(
                asked=asked,
                answered=asked - failed,
                failed=failed,
                observed=asked - failed,
                flagged=flagged,
            ),
            latency=document_from_latency(latency),
            inputs=None,
            outputs=None,
        )
        receipts = self.telemetry.ingest([message(one)], self.now)
        assert [r.fate for r in receipts] == ["stored"], receipts

    def answer(self, name: str, right: int, wrong: int) -> None:
        """Let results of a device be sampled, and become known to be right or wrong."""
        number = self.said[name] = self.said.get(name, 0) + 1
        total = right + wrong
        now_s = self.now.timestamp()
        sampled = predictions(
            tuple(range(total)),
            device=name,
            deployment=DEPLOYMENT,
            boot=number,
            keys=(None,) * total,
            bundles=(self.committed[name],),
            at_s=(now_s,) * total,
        )
        said = [message(sampled)]
        for counter in range(total):
            result = f"{name}/{DEPLOYMENT}/{number}/{counter}"
            label = "cat" if counter < right else "dog"
            one = outcome(counter, label, id=result, at_s=now_s)
            said.append(message(one, device=name))
        self.telemetry.ingest(said, self.now)

    def start(self, version: int | str = 2, plan: Plan = PLAN, **more: Any) -> Rollout:
        return self.rollouts.start(
            MODEL, version, DEPLOYMENT, by="ann", now=self.now, plan=plan, **more
        )

    def run(self, turns: int = 1, **time: float) -> None:
        """Let the worker have some turns, each a second or so later than the last."""
        for _ in range(turns):
            self.later(**(time or {"seconds": 1}))
            self.rollouts.run(self.now)

    def states(self, rollout: int) -> dict[str, str]:
        return {one.device: one.state.value for one in self.rollouts.members(rollout)}

    def _accept(self, name: str) -> None:
        self.accepted[name] = self.devices.device(name).desired

    def _say(self, name: str, document: Any) -> None:
        heard = self.devices.hear(told(document, device=name), self.now)
        assert heard[0].fault is None, heard


@contextmanager
def open_world(template: Path, folder: Path, database: Database | None = None) -> Iterator[World]:
    """Give a copy of a world; it is gone on with where the folder is there already."""
    if not folder.exists():
        shutil.copytree(template, folder)
    database = database or open_database(folder / "cloud.sqlite")
    try:
        yield world_over(folder, database)
    finally:
        database.close()


def world_over(folder: Path, database: Database) -> World:
    """Return the world of a folder over its database."""
    profiles = dict(PROFILES)
    devices, releases = Devices(database), _releases(folder, database)
    telemetry = Telemetry(database, lambda _: KNOWN, folder / "log")
    registry = Registry(database, open_blobs(folder / "blobs"))
    return World(
        folder=folder,
        database=database,
        devices=devices,
        releases=releases,
        telemetry=telemetry,
        rollouts=Rollouts(database, devices, releases, telemetry, registry, lambda: profiles),
        profiles=profiles,
    )


def _releases(folder: Path, database: Database) -> Releases:
    blobs = open_blobs(folder / "blobs")
    return Releases(database, blobs, folder / "tuf", Keys(folder / "keys"))
