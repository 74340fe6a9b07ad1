# SPDX-License-Identifier: Apache-2.0
"""A cloud in the middle of a working day: devices, bundles, drift, labels, a rollout, a run.

Everything is made through the services, as devices, people and the worker would; only the
words of devices are made up.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from insight_cloud.accounts.rules import Role
from insight_cloud.builds.profiles import known_profiles
from insight_cloud.devices.selection import Selection
from insight_cloud.installation import Installation
from insight_cloud.pipelines.recording import Recording
from insight_cloud.pipelines.rules import Policy, StepState
from insight_cloud.platform.clock import now
from insight_cloud.rollouts.plan import Plan
from insight_cloud.telemetry.samples import SampleState
from insight_edge.bundle.npz import npz_from_arrays
from insight_edge.documents.challenge import Challenge, Disagreement, OutputDisagreement
from insight_edge.documents.device import Birth, Death, DeploymentState, Refusal, Reported
from insight_edge.documents.enrolment import EnrolmentRequest
from insight_edge.documents.facts import EngineFacts, Facts
from insight_edge.documents.host import SwapRecord
from insight_edge.documents.job import JobState
from insight_edge.documents.profile import HardwareProfile
from insight_edge.documents.report import Counts, Window
from insight_edge.documents.statistics import document_from_latency, document_from_summary
from insight_edge.documents.topics import TENANT
from insight_edge.stats.latency import LatencyHistogram
from tests.fakes.cloud import Cloud, open_cloud
from tests.fakes.console_model import MODEL, Digits, publish, register
from tests.fakes.fleet_devices import told
from tests.fakes.measuring_world import bench_result, job_result, refused, sent
from tests.fakes.telemetry import message, offer, outcome, predictions, report

PROFILES = ("hp-t540-8gb", "lattepanda-mu-8gb", "ec2-c7a-large")
DEPLOYMENT = "camera"
ADMIN, PASSWORD = "kim", "a calm day at work"
OPERATOR, VIEWER = "ola", "vic"
WINDOW = timedelta(minutes=4)
ROWS = 50
STEADY, SHIFTED = 22, 12
REPORTERS = 4
SERVES = ("phase", "serving", "committed", "target", "swap")
HOSTILE = "<script>alert(1)</script>"


@dataclass
class ConsoleWorld:
    """One installation, filled step by step.

    Attributes:
        text: written wherever a device, person or program may write freely.
        bundles: digests by version and profile.
    """

    cloud: Installation
    digits: Digits
    text: str = ""
    bundles: dict[tuple[int, str], str] = field(default_factory=dict)
    versions: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    run: str = ""
    rollout: int = 0
    job: str = ""

    def __post_init__(self) -> None:
        self.now = now()
        self.profiles = known_profiles(self.cloud.settings.profiles_path)
        self.random = np.random.default_rng(7)
        self.sequence: dict[str, int] = {}

    def fill(self) -> None:
        """Let the day happen."""
        self.people()
        self.release()
        self.enrol(24)
        self.count()
        self.challenge()
        self.sample()
        self.roll_out()
        self.retrain()
        self.measure()
        self.trouble()

    def people(self) -> None:
        people_of(self.cloud)

    def release(self) -> None:
        """Register three versions, the third not listed everywhere, and publish their bundles."""
        made = self.now - timedelta(days=10)
        for number, weights in enumerate((b"a" * 9, b"b" * 5, b"c" * 2), 1):
            version = register(self.cloud, self.digits, weights, made + timedelta(days=3 * number))
            self.versions.append(version.number)
            for profile in PROFILES:
                at = version.created + timedelta(minutes=20)
                reason = self.text or "the fastest that is proven within the limits"
                bundle = publish(self.cloud, self.digits, version, profile, at, reason=reason)
                self.bundles[number, profile] = bundle
        self.cloud.registry.assign_alias(MODEL, "production", 2, by="Ada", now=self.now)
        self.cloud.registry.assign_alias(MODEL, "candidate", 3, by="Ada", now=self.now)

    def enrol(self, count: int) -> None:
        """Enrol devices that are online and serve version 2."""
        for index in range(count):
            name = f"line-{1 + index // 6}-camera-{1 + index % 6}"
            profile = PROFILES[index % len(PROFILES)]
            self.join(name, profile)
            self.cloud.devices.set_desired(
                name, DEPLOYMENT, self.bundles[2, profile], by=OPERATOR, now=self.now
            )
            self.take(name)

    def join(self, name: str, profile: str) -> None:
        """Let a device enrol, and be born."""
        devices, at = self.cloud.devices, self.now - timedelta(days=5)
        token = devices.invite(name, by=ADMIN, expires=self.now + timedelta(hours=1), now=at)
        facts = facts_of(self.profiles[profile], self.text)
        request = EnrolmentRequest(
            token=token, facts=facts, profile=profile, deployments=(DEPLOYMENT,)
        )
        devices.enrol(request, profiles=self.profiles, now=at)
        self.names.append(name)
        birth = Birth(
            tenant=TENANT, device=name, session="s1", agent=f"0.1.0{self.text}", profile=profile,
            facts=facts, deployments=(DEPLOYMENT,), at_s=self.now.timestamp(),
        )  # fmt: skip
        self.say(name, birth)

    def say(self, name: str, document: Any) -> None:
        heard = self.cloud.devices.hear(told(document, device=name), self.now)
        assert heard[0].fault is None, heard

    def take(self, name: str) -> None:
        """Let a device run for good what it should."""
        wanted = self.cloud.devices.desired(name)
        assert wanted is not None
        bundle = wanted.deployments[DEPLOYMENT].bundle
        swap = SwapRecord(
            origin=None, target=bundle, stage_ms=31.2, verify_ms=8.4, warm_ms=3.1, flip_ms=0.004,
            drain_ms=0.3, retire_ms=1.2, in_flight=1,
        )  # fmt: skip
        self.tell(name, serving=bundle, committed=bundle, swap=swap)

    def tell(
        self, name: str, *, held: bool = False, jobs: tuple[JobState, ...] = (), **standing: Any
    ) -> None:
        """Let a device say how its deployment stands, at the revision that it should have."""
        state = Reported(
            tenant=TENANT,
            device=name,
            revision=self.cloud.devices.device(name).desired,
            at_s=self.now.timestamp(),
            held=held,
            jobs=jobs,
            deployments={DEPLOYMENT: DeploymentState(**{"attached": True} | standing)},
        )
        self.say(name, state)

    def count(self) -> None:
        """Let devices report windows: first as the reference, then of dimmed images."""
        begin = self.now - (STEADY + SHIFTED) * WINDOW
        pool = self.digits.data["pool"].inputs.astype(np.uint8)
        labels = self.digits.data["pool"].labels
        for number in range(STEADY + SHIFTED):
            at = begin + (number + 1) * WINDOW
            for name in self.names[: REPORTERS * len(PROFILES) : len(PROFILES)]:
                chosen = self.random.integers(0, len(pool), ROWS)
                images = pool[chosen]
                if number >= STEADY:
                    images = dimmed(images, (number - STEADY + 1) / SHIFTED)
                self._report(name, images, at)
                if number % 2:
                    self._results(name, images, labels[chosen], at)
            while self.cloud.telemetry.roll_up(at):
                pass
            while self.cloud.monitoring.run(at):
                pass

    def challenge(self) -> None:
        """Let version 3 be compared with the one that serves, on one device."""
        name, profile = self.names[0], PROFILES[0]
        output = OutputDisagreement(
            name=f"scores{self.text}", differing=38, decibels={"1": 38, "6": 300, "7": 800}
        )
        part = Disagreement(
            against=self.bundles[2, profile], rows=1138, differing=38, odd=2, outputs=(output,)
        )
        told = Challenge(
            compared=1138, dropped=20_862, failed=3, share=0.1, keyed_served=912,
            keyed_challenged=103, fell_back=1, disagreements=(part,),
        )  # fmt: skip
        self.sequence[name] += 1
        one = report(
            self.sequence[name], rows=0, device=name, deployment=DEPLOYMENT, role="challenger",
            bundle=self.bundles[3, profile], challenge=told, inputs=None, outputs=None,
        )  # fmt: skip
        receipts = self.cloud.telemetry.ingest([message(one)], self.now)
        assert [receipt.fate for receipt in receipts] == ["stored"], receipts

    def sample(self, count: int = 14) -> None:
        """Let a device upload inputs, and somebody label a few."""
        name = self.names[0]
        bundle = self.bundles[2, PROFILES[0]]
        images = dimmed(self.digits.data["pool"].inputs.astype(np.uint8)[:count])
        for index, image in enumerate(images):
            content = npz_from_arrays({"image": image[None]})
            digest = self.cloud.blobs.put(content)
            scores = tuple(float(p) for p in self.digits.probabilities(image[None])[0])
            offered = offer(
                digest, device=name, deployment=DEPLOYMENT, id=f"{name}/{DEPLOYMENT}/1/{index}",
                bundle=bundle, length_bytes=len(content), score=0.3 + index / 50,
                at_s=self.now.timestamp() - 60, outputs={"probabilities": scores},
            )  # fmt: skip
            self.cloud.telemetry.ingest([message(offered)], self.now)
            self.cloud.telemetry.ask_samples(bundle, most=1, each=1000, now=self.now)
            self.cloud.telemetry.move_sample(name, digest, SampleState.UPLOADED, self.now)
        self.cloud.labels.gather(self.now)
        for _ in range(4):
            task = self.cloud.labels.next_task(OPERATOR, now=self.now)
            assert task is not None
            guess = task.predicted[0] or 0
            self.cloud.labels.answer(task.id, guess, by=OPERATOR, now=self.now)

    def roll_out(self) -> None:
        """Begin a rollout of version 3, of which the canary is done and a wave is under way."""
        rollouts = self.cloud.rollouts
        plan = Plan(
            canary="2",
            waves=("30%", "60%", "100%"),
            soak_s=0.0,
            least_calls=0,
            max_failed_share=0.5,
        )
        started = rollouts.start(
            MODEL, 3, DEPLOYMENT, by=OPERATOR, now=self.now - timedelta(minutes=9), plan=plan
        )
        self.rollout = started.id
        for turn in range(8):
            rollouts.run(self.now - timedelta(minutes=8 - turn / 2))
            if rollouts.get(self.rollout).wave == 2:
                break
            for name in self.members("asked"):
                self.take(name)
        rollouts.run(self.now - timedelta(minutes=3))
        for index, name in enumerate(self.members("asked")[:5]):
            self._under_way(name, index)
        rollouts.run(self.now - timedelta(minutes=1))

    def members(self, state: str) -> list[str]:
        """Return the devices of the rollout in a state."""
        found = self.cloud.rollouts.members(self.rollout)
        return [one.device for one in found if one.state == state]

    def retrain(self) -> None:
        """Let a run of the pipeline be in the middle."""
        pipelines, at = self.cloud.pipelines, self.now - timedelta(minutes=14)
        pipelines.set_policy(MODEL, Policy(automatic=True, deployment=DEPLOYMENT), by=ADMIN, now=at)
        because = f"digits:2 has drifted{self.text}"
        self.run = pipelines.open(MODEL, because=because, by="pipelines", now=at).id
        recording = Recording(self.cloud.database, TENANT)
        steps = (
            ("samples", "asked 12 devices for 14 samples; all have come", 0, 4),
            ("labels", "100 labels of 100, by 2 people", 4, 11),
        )
        for name, text, begins, ends in steps:
            recording.begin(self.run, name, text, at + timedelta(minutes=begins))
            recording.end(self.run, name, StepState.DONE, text, at + timedelta(minutes=ends))
        recording.begin(self.run, "train", "training", at + timedelta(minutes=11))
        recording.tell(self.run, "train", f"epoch 17 of 40, loss 0.081{self.text}", 0.42)
        for profile in PROFILES:
            self.cloud.builds.queue(MODEL, 3, [profile], by="pipelines", now=self.now)

    def measure(self) -> None:
        """Let four devices time a bundle: two are done, one is under way, one has no engine."""
        jobs, bundle = self.cloud.jobs, self.bundles[3, PROFILES[0]]
        at, names = self.now - timedelta(minutes=6), self.names[9:21:3]
        job = jobs.bench(bundle, by=OPERATOR, now=at, selection=Selection(devices=tuple(names)))
        self.job = job.id
        for order in jobs.follow(at):
            jobs.told(order, at)
        for index, name in enumerate(names[:2]):
            results = [
                bench_result(job, name, (1 + index / 20) * p50_ms, variant=variant)
                for variant, p50_ms in zip(job.artifacts, (0.0521, 0.1077), strict=False)
            ]
            left_out = {"tvm-fp32": f"the engine is not here{self.text}"}
            jobs.take([sent(job_result(job, name, *results, left_out=left_out))], self.now)
        reported = self.cloud.devices.reported(names[2])
        assert reported is not None
        serves = {name: getattr(reported.deployments[DEPLOYMENT], name) for name in SERVES}
        self.tell(names[2], jobs=(JobState(id=job.id, phase="measuring"),), **serves)
        why = f"openvino is not installed{self.text}"
        jobs.take([sent(refused(job, names[3], reason=why))], self.now)
        jobs.follow(self.now)

    def trouble(self) -> None:
        """Let some devices be away, held, or unable."""
        last = self.names[-1]
        self.say(last, Death(device=last, session="s1"))
        self.tell(self.names[-2], held=True, serving=self.bundles[2, PROFILES[1]],
                  committed=self.bundles[2, PROFILES[1]])  # fmt: skip
        self.cloud.telemetry.ingest([(message(outcome(1, "x"), device=last)[0], b"nonsense")],
                                    self.now)  # fmt: skip

    def _under_way(self, name: str, index: int) -> None:
        held = self.bundles[2, self.cloud.devices.device(name).profile]
        wanted = self.bundles[3, self.cloud.devices.device(name).profile]
        serves: dict[str, Any] = {"serving": held, "committed": held}
        if index == 0:
            fetched: dict[str, Any] = {"progress_bytes": 1_400_000, "total_bytes": 2_100_000}
            self.tell(name, phase="fetching", target=wanted, **serves, **fetched)
        elif index == 1:
            self.tell(name, phase="probation", target=wanted, serving=wanted, committed=held)
        elif index == 2:
            refusal = Refusal(
                kind="SelfCheckError", reason=f"the golden samples disagree{self.text}",
                phase="verify", bundle=wanted, at_s=self.now.timestamp(),
            )  # fmt: skip
            self.tell(name, refusal=refusal, **serves)
        else:
            self.take(name)

    def _report(self, name: str, images: Any, at: datetime) -> None:
        latency = LatencyHistogram()
        latency.observe_ns((self.random.gamma(9.0, 6000.0, ROWS)).astype(np.int64))
        inputs, outputs = self.digits.summaries(images)
        number = self.sequence[name] = self.sequence.get(name, 0) + 1
        failed = int(self.random.random() < 0.08)
        one = report(
            number, rows=0, device=name, deployment=DEPLOYMENT,
            bundle=self.bundles[2, PROFILES[0]],
            window=Window(opened_s=(at - WINDOW).timestamp(), closed_s=at.timestamp()),
            counts=Counts(asked=ROWS + failed, answered=ROWS, failed=failed, observed=ROWS),
            latency=document_from_latency(latency),
            inputs=document_from_summary(inputs), outputs=document_from_summary(outputs),
        )  # fmt: skip
        receipts = self.cloud.telemetry.ingest([message(one)], at)
        assert [receipt.fate for receipt in receipts] == ["stored"], receipts

    def _results(self, name: str, images: Any, labels: Any, at: datetime) -> None:
        scores = self.digits.probabilities(images)
        number = self.sequence[name]
        batch = predictions(
            tuple(range(ROWS)), device=name, deployment=DEPLOYMENT, boot=1 + number,
            scores=[tuple(map(float, row)) for row in scores], keys=(None,) * ROWS,
            bundles=(self.bundles[2, PROFILES[0]],), at_s=(at.timestamp(),) * ROWS,
        )  # fmt: skip
        said = [message(batch)]
        for counter in range(0, ROWS, 2):
            one = outcome(
                counter, int(labels[counter]), at_s=at.timestamp(),
                id=f"{name}/{DEPLOYMENT}/{1 + number}/{counter}",
            )  # fmt: skip
            said.append(message(one, device=name))
        self.cloud.telemetry.ingest(said, at)


def people_of(cloud: Installation) -> None:
    """Make somebody of each role, all with one password."""
    for name, role in ((ADMIN, Role.ADMIN), (OPERATOR, Role.OPERATOR), (VIEWER, Role.VIEWER)):
        cloud.accounts.create_user(name, PASSWORD, role, by="test", now=now())


def dimmed(images: Any, amount: float = 1.0) -> Any:
    """Return images as a camera sees them that loses its focus and its light."""
    wide = images.astype(np.float64)
    around = sum(np.roll(wide, step, axis) for axis in (1, 2) for step in (1, -1))
    blurred = (1 - amount) * wide + amount * (wide + 2 * around) / 9
    return ((1 - 0.45 * amount) * blurred).astype(np.uint8)


def facts_of(profile: HardwareProfile, text: str = "") -> Facts:
    """Return the facts of a machine of a profile."""
    return Facts(
        arch=profile.cpu.arch,
        cpu_model=profile.cpu.model.value + text,
        isa=profile.cpu.isa.value,
        cores=profile.cpu.cores.value,
        memory_bytes=profile.dram.length_bytes.value,
        os=f"Debian GNU/Linux 12{text}",
        engines={
            "openvino": EngineFacts(
                name="openvino", version="2026.4.0", precisions=("fp32", "int8")
            ),
            "onnxruntime": EngineFacts(name="onnxruntime", version="1.31.0"),
        },
    )


@contextmanager
def filled_world(folder: Path, text: str = "") -> Iterator[ConsoleWorld]:
    """Give a cloud that is filled; `text` is written wherever somebody may write freely."""
    classes: Sequence[str] = [f"{digit}{text}" for digit in range(10)]
    with open_cloud(folder) as cloud:
        world = ConsoleWorld(cloud=cloud, digits=Digits(tuple(classes)), text=text)
        world.fill()
        yield world


def cloud_of(world: ConsoleWorld) -> Cloud:
    """Return the cloud of a world, as programs are set up with it."""
    return Cloud(**vars(world.cloud))
