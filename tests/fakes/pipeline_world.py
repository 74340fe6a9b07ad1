# SPDX-License-Identifier: Apache-2.0
"""A pipeline with real workflows, database, releases and child processes, and quick neighbours.

The neighbours live in files of one folder, so that a test tells a worker in another
process what the world is like: `labels`, `rollout` and `alarm` hold it, `effects` gets a
line for everything that was done, and while `hang-<what>` exists that is not finished.

Run as a program (`python -m tests.fakes.pipeline_world FOLDER`) it is that worker.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from insight_cloud.builds.compiling import Compiled, Compiler, Order, Settlement
from insight_cloud.builds.rules import summary_of
from insight_cloud.builds.service import Builds
from insight_cloud.devices.service import Devices
from insight_cloud.pipelines.recording import Recording
from insight_cloud.pipelines.rules import Alarm, Compared, Pair, Policy
from insight_cloud.pipelines.seams import RolloutEnd, RolloutSeen, Target, TimingSeen
from insight_cloud.pipelines.service import Pipelines
from insight_cloud.pipelines.stages import Domains
from insight_cloud.platform.blobs import Blobs, open_blobs
from insight_cloud.platform.child_process import run_child
from insight_cloud.platform.database import Database
from insight_cloud.registry.rules import ModelVersion
from insight_cloud.registry.service import Registry
from insight_cloud.releases.keys import Keys, init_keys
from insight_cloud.releases.service import Releases
from insight_cloud.worker.pipelining import Pipelining
from insight_edge.bundle.npz import npz_from_arrays
from insight_edge.bundle.open import open_bundle
from insight_edge.bundle.write import file_entry, write_bundle
from insight_edge.documents.codec import decode_json, digest, encode_json
from insight_edge.documents.evidence import Evidence, Trial
from insight_edge.documents.manifest import ModelInfo
from tests.fakes.bundles import ARTIFACT, EVIDENCE, bundle_files, bundle_manifest
from tests.fakes.fleet_devices import BOX, request
from tests.fakes.migrated import migrated_database
from tests.unit.compile.test_choose import measured

MODEL, DEPLOYMENT, PROFILE = "digits", "camera-1", "box"
LOOK_S = 0.05
POLICY = Policy(automatic=True, deployment=DEPLOYMENT, labels=4, samples=6, samples_each=6)


def now() -> datetime:
    return datetime.now(UTC)


def bundle_of(folder: Path, version: int, *, predicted: bool = False, by: str = "") -> str:
    """Write a small bundle of a version of the model and return its digest.

    Args:
        folder: where.
        version: of the model.
        predicted: it has a contender, and nothing of it was timed.
        by: the device that timed it.
    """
    files = bundle_files(f"weights {version}".encode())
    manifest = bundle_manifest(files)
    (variant,) = manifest.variants
    evidence = decode_json(Evidence, files[EVIDENCE])
    trial = Trial(
        target=variant.target,
        status="built",
        reason="won",
        chosen=True,
        measurement=None if predicted else measured(3.0),
    )
    evidence = msgspec.structs.replace(evidence, trials=(trial,), measured_by=by)
    files[EVIDENCE] = encode_json(evidence)
    rival = msgspec.structs.replace(variant, name="rival", role="contender")
    changed = msgspec.structs.replace(
        manifest,
        model=ModelInfo(name=MODEL, version=version, digest=digest(files[ARTIFACT])),
        profile=PROFILE,
        variants=(variant, rival) if predicted else (variant,),
        evidence=file_entry(EVIDENCE, files[EVIDENCE]),
    )
    return write_bundle(folder, changed, files)


@dataclass
class Neighbours:
    """Everything that a run calls and that would take long: see the module's docstring."""

    folder: Path
    registry: Registry

    def did(self, what: str) -> None:
        with (self.folder / "effects").open("a") as file:
            file.write(what + "\n")

    def told(self, name: str, otherwise: str) -> str:
        try:
            return (self.folder / name).read_text().strip() or otherwise
        except FileNotFoundError:
            return otherwise

    def linger(self, what: str, pulse: Callable[[], None]) -> None:
        """Be a child that does not end while the test wants it so."""
        self.did(what)
        hang = f'echo $$ > "{what}.pid"; while [ -e "hang-{what}" ]; do sleep 0.05; done'
        run_child(["sh", "-c", hang], cwd=self.folder, timeout_s=60, pulse=pulse)

    # What devices keep, and what people say.

    def ask(
        self,
        bundle: str,
        *,
        most: int,
        each: int,
        since_s: float | None,
        now: datetime,
        tenant: str,
    ) -> int:
        del bundle, each, now, tenant
        self.did(f"ask {most}" if since_s is None else f"ask {most} since {since_s:g}")
        return min(most, 2)

    def finished(self, model: str, *, tenant: str) -> int:
        del model, tenant
        return int(self.told("labels", "0"))

    def export(self, model: str, *, tenant: str) -> bytes:
        rows = self.finished(model, tenant=tenant)
        return npz_from_arrays({"image": np.zeros((rows, 2)), "labels": np.zeros(rows, np.int64)})

    # Training, comparing, compiling.

    def train(
        self,
        base: ModelVersion,
        *,
        run: str,
        added: bytes,
        holdout: float,
        pulse: Callable[[], None],
    ) -> ModelVersion:
        del holdout
        for version in self.registry.versions(base.model):
            if any(artifact.name == f"run-{run}" for artifact in version.artifacts):
                return version
        self.linger("train", pulse)
        self.did("register")
        return self.registry.register(
            base.model,
            task=base.task,
            artifacts={"model.onnx": added, f"run-{run}": b""},
            metrics={"accuracy": 0.9},
            by="Ada",
            now=now(),
        )

    def compare(self, model: str, old: int, new: int, *, pulse: Callable[[], None]) -> Compared:
        del model, old, new
        self.linger("evaluate", pulse)
        gained = int(self.told("gained", "30"))
        return Compared(
            validation=Pair(rows=100, old=95, new=95, losses=0, gains=0),
            labelled=Pair(rows=60, old=20, new=20 + gained, losses=0, gains=gained),
        )

    # The rollout.

    def start(
        self, target: Target, *, plan: Mapping[str, Any], by: str, now: datetime, tenant: str
    ) -> str:
        del plan, by, now, tenant
        began = self.folder / f"rollout-{target.version}"
        if not began.exists():
            self.did("roll out")
            began.touch()
        return str(target.version)

    def seen(self, rollout: str, *, tenant: str) -> RolloutSeen:
        del tenant
        end = self.told("rollout", "")
        text = f"rollout {rollout}: {end or 'wave 1 of 2'}"
        return RolloutSeen(end=RolloutEnd(end) if end else None, text=text, progress=0.5)

    # Alarms.

    def open(self, *, tenant: str) -> tuple[Alarm, ...]:
        del tenant
        opened = self.told("alarm", "")
        if not opened:
            return ()
        at = datetime.fromisoformat(opened)
        bundle = self.told("bundle", "")
        return (
            Alarm(
                id="a1",
                model=MODEL,
                bundle=bundle,
                opened=at,
                since_s=7.0,
                sentence="inputs are darker",
            ),
        )

    def close(self, alarm: str, *, reason: str, by: str, now: datetime, tenant: str) -> None:
        del reason, by, now, tenant
        self.did(f"close {alarm}")
        (self.folder / "alarm").write_text("")


class NearDevices:
    """Devices that time bundles: `able` of them, which leave `timed` when it is there."""

    def __init__(self, neighbours: Neighbours) -> None:
        self._near = neighbours

    def able(self, profile: str, *, tenant: str) -> int:
        del profile, tenant
        return int(self._near.told("able", "0"))

    def ask(self, bundle: str, *, key: str, by: str, now: datetime, tenant: str) -> str:
        del bundle, by, now, tenant
        self._near.did(f"time {key.partition(' ')[2]}")
        return "job-1"

    def seen(self, job: str, *, tenant: str) -> TimingSeen:
        del job, tenant
        timed = self._near.told("timed", "")
        if not timed:
            return TimingSeen(text="0 of 1 device done")
        results = b"" if timed == "nothing" else timed.encode()
        return TimingSeen(text="1 of 1 device done", results=results)


class QuickCompiler(Compiler):
    """Writes a small bundle where the real one would compile."""

    def __init__(self, folder: Path, neighbours: Neighbours) -> None:
        super().__init__(folder / "builds")
        self._folder = folder
        self._neighbours = neighbours

    def compile(self, order: Order, *, pulse: Callable[[], None]) -> Compiled:
        assert order.profile.endswith("box.toml")
        self._neighbours.linger("compile", pulse)
        if (self._folder / "no-compiler").exists():
            return Compiled(bundle=None, reason="the compiler exited with 1: no", log="", trials=())
        if order.wishes.contenders:
            self._neighbours.did("with contenders")
        return self._written(predicted=self._neighbours.told("predicted", "") != "")

    def settle(self, settlement: Settlement, *, pulse: Callable[[], None]) -> Compiled:
        assert settlement.profile.endswith("box.toml")
        self._neighbours.linger("settle", pulse)
        if settlement.results == b"odd":
            reason = "the compiler exited with 2: no result is of it"
            return Compiled(bundle=None, reason=reason, log="", trials=())
        return self._written(by=settlement.results.decode())

    def _written(self, *, predicted: bool = False, by: str = "") -> Compiled:
        place = self._folder / "made"
        version = len(self._neighbours.registry.versions(MODEL))
        bundle = bundle_of(place, version, predicted=predicted, by=by)
        trials = open_bundle(place, allow_unsigned=True).evidence().trials
        self.bundle_path(bundle).parent.mkdir(parents=True, exist_ok=True)
        if not self.bundle_path(bundle).exists():
            place.rename(self.bundle_path(bundle))
        summaries = tuple(map(summary_of, trials))
        return Compiled(bundle=bundle, reason="", log="", trials=summaries)


class PipelineWorld:
    """One installation with a device that runs version 1."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database: Database = migrated_database(folder / "cloud.sqlite")
        self.blobs: Blobs = open_blobs(folder / "blobs")
        self.registry = Registry(self.database, self.blobs)
        self.devices = Devices(self.database)
        keys = folder / "keys"
        held = Keys(keys) if keys.exists() else init_keys(keys)
        self.releases = Releases(self.database, self.blobs, folder / "tuf", held)
        self.neighbours = Neighbours(folder, self.registry)
        self.pipelines = Pipelines(self.database, self.registry)
        compiler = QuickCompiler(folder, self.neighbours)
        self.builds = Builds(self.database, self.registry, compiler, folder / "profiles")
        self.recording = Recording(self.database, "default")

    def settle(self, policy: Policy = POLICY) -> None:
        """Make what there is before a run."""
        self.profile()
        self.registry.register(
            MODEL, task="t", artifacts={"model.onnx": b"one"}, metrics={}, by="Ada", now=now()
        )
        bundle_of(self.folder / "first", 1)
        released = self.releases.publish(self.folder / "first", by="Ada", now=now())
        token = self.devices.invite(
            "press-1", by="test", expires=now() + timedelta(hours=1), now=now()
        )
        self.devices.enrol(request(token, deployments=(DEPLOYMENT,)), profiles=BOX, now=now())
        self.tell("bundle", released.bundle)
        self.devices.set_desired("press-1", DEPLOYMENT, released.bundle, by="test", now=now())
        self.pipelines.set_policy(MODEL, policy, by="test", now=now())

    def profile(self) -> None:
        """Write the hardware profile of the device as this installation's own."""
        shipped = Path(__file__).parents[2] / "hardware_profiles" / "hp-t540-8gb.toml"
        own = self.folder / "profiles"
        own.mkdir()
        written = shipped.read_text().replace('id = "hp-t540-8gb"', f'id = "{PROFILE}"')
        (own / f"{PROFILE}.toml").write_text(written)

    def tell(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def effects(self) -> list[str]:
        try:
            return (self.folder / "effects").read_text().splitlines()
        except FileNotFoundError:
            return []

    def domains(self) -> Domains:
        near = self.neighbours
        return Domains(
            blobs=self.blobs,
            devices=self.devices,
            registry=self.registry,
            releases=self.releases,
            builds=self.builds,
            training=near.train,
            comparing=near.compare,
            sampling=near,
            labelling=near,
            timing=NearDevices(near),
            rolling_out=near,
            alarming=near,
        )

    def pipelining(self, clock: Callable[[], datetime] = now) -> Pipelining:
        return Pipelining(
            self.database,
            self.pipelines,
            self.domains(),
            self.folder / "pipelines.sqlite",
            clock,
            look_s=LOOK_S,
        )

    def close(self) -> None:
        self.database.close()


def main(folder: Path) -> None:
    """Be a worker that does nothing but pipelines."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    world = PipelineWorld(folder)
    pipelining = world.pipelining()
    try:
        turns = 0
        while not stop.wait(LOOK_S):
            pipelining.run()
            turns += 1
            world.tell(f"turns-{os.getpid()}", f"{turns}\n")
    finally:
        pipelining.close()
        world.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
