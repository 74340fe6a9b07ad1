# SPDX-License-Identifier: Apache-2.0
"""The stage of the demo: one cloud, three devices with an application each, and what they see."""

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from insight_cloud.datasets.known import load_dataset
from insight_cloud.demo.application import Setup
from insight_cloud.demo.machines import Machine
from insight_cloud.demo.pace import Pace
from insight_cloud.demo.processes import (
    Process,
    agent,
    await_door,
    cloud,
    customer,
    enrol,
    free_ports,
)
from insight_cloud.demo.programs import ProgramError
from insight_cloud.demo.recording import Recording, read_recording
from insight_cloud.demo.world import shifted
from insight_edge.bundle.npz import npz_from_arrays
from insight_edge.fleet.identity import deployment_dir

MODEL, DEPLOYMENT = "digits", "camera-1"
NAMES = ("gate-north", "gate-east", "gate-west")
"""Of the devices."""
OUTCOME_DELAY_S = 3.0
SEGMENT_ROWS = 100


@dataclass(frozen=True, kw_only=True, eq=False)
class Scenery:
    """What there is to see in both worlds.

    Attributes:
        images: (2, n, h, w).
        labels: (n,).
        pool: (n,): somebody may label it; of the others nobody ever says what they show.
        file: that the applications read.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    pool: NDArray[np.bool_]
    file: Path


def scenery(folder: Path, shift: str, seed: int) -> Scenery:
    """Return the digits of the pool and of the final split, written for the applications.

    Raises:
        ConfigurationError: there is no such shift.
    """
    splits = load_dataset("digits").splits
    pool, final = splits["pool"], splits["final"]
    before = np.concatenate([pool.inputs, final.inputs]).astype(np.uint8)
    labels = np.concatenate([pool.labels, final.labels])
    in_pool = np.arange(len(labels)) < len(pool.labels)
    images = np.stack([before, shifted(before, shift, seed)])
    path = folder / "images.npz"
    path.write_bytes(npz_from_arrays({"images": images, "labels": labels, "learnt": in_pool}))
    return Scenery(images=images, labels=labels, pool=in_pool, file=path)


@dataclass
class Device:
    """A device of the fleet: an agent, and the application of a customer."""

    name: str
    machine: Machine
    state: Path
    agent: Process
    application: Process
    setup: Setup
    record: Path

    def recording(self) -> Recording:
        """Return what the application was answered, once it has stopped."""
        return read_recording(self.record)


@dataclass
class Stage:
    """Everything that runs; a context manager that ends it.

    Attributes:
        shifted: whether the world has changed.
        forgiving: whether somebody kills and restarts the processes of devices.
    """

    folder: Path
    seed: int
    cloud: Process
    address: str
    pace: Pace
    stay: bool = False
    devices: list[Device] = field(default_factory=list)
    shifted: bool = False
    forgiving: bool = False

    def __enter__(self) -> Self:
        """Raise the curtain: start the cloud, and do not wait for it."""
        self.cloud.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """End everything, the devices first, unless it is to stay."""
        if self.stay and kind is None:
            for device in self.devices:
                device.application.tell("stay")
            return
        for device in self.devices:
            device.application.end()
        for device in self.devices:
            device.agent.end()
        self.cloud.end()

    def await_cloud(self) -> None:
        """Wait until the cloud answers.

        Raises:
            ProgramError: it does not, or has ended.
        """
        await_door(self.address, self.cloud)

    def add_device(self, name: str, token: str, machine: Machine, scene: Scenery) -> None:
        """Enrol a device that was invited, and start its agent and its application.

        Raises:
            ProgramError: a program refused.
        """
        enrol(self.folder / name, token, machine.id, self.address, DEPLOYMENT)
        record = self.folder / f"{name}.calls"
        setup = Setup(
            state=str(deployment_dir(self.folder / name, DEPLOYMENT)),
            images=str(scene.file),
            record=str(record),
            callers=self.pace.callers,
            rate_hz=self.pace.rate_hz,
            delay_s=OUTCOME_DELAY_S,
            seed=self.seed * 100 + len(self.devices),
        )
        watch = agent(self.folder, name, self.pace.window_s, self.pace.probation_s)
        watch.start()
        self.devices.append(
            Device(
                name=name,
                machine=machine,
                state=self.folder / name,
                agent=watch,
                application=customer(self.folder, name, setup),
                setup=setup,
                record=record,
            )
        )

    def await_serving(self) -> None:
        """Wait until every application has its model.

        Raises:
            ProgramError: one ended.
        """
        for device in self.devices:
            device.application.expect("serving")

    def shift_world(self) -> float:
        """Let the world look different, and return when, in seconds since the epoch."""
        self.shifted = True
        for device in self.devices:
            device.application.tell("shift")
        return time.time()

    def restart_application(self, device: Device) -> None:
        """Kill an application, and start it again in the world that there is by now.

        Raises:
            ProgramError: it does not serve again.
        """
        device.application.kill()
        device.application = customer(self.folder, device.name, device.setup)
        device.application.expect("serving")
        if self.shifted:
            device.application.tell("shift")

    def stop_asking(self) -> None:
        """End the streams.

        Raises:
            ProgramError: an application ended.
        """
        for device in self.devices:
            device.application.tell("stop")
        for device in self.devices:
            device.application.expect("stopped")

    def check(self) -> None:
        """Refuse to go on without everything.

        Raises:
            ProgramError: something has ended.
        """
        on_devices = (
            () if self.forgiving else (p for d in self.devices for p in (d.agent, d.application))
        )
        for process in (self.cloud, *on_devices):
            if not process.runs:
                raise ProgramError(
                    f"{process.name} has ended: {process.last_words()}",
                    hint=f"see {os.path.relpath(process.log)}",
                )


def set_up(folder: Path, seed: int, pace: Pace, *, stay: bool) -> Stage:
    """Return a stage on which nothing runs yet."""
    port, broker_port = free_ports(2)
    return Stage(
        folder=folder,
        seed=seed,
        cloud=cloud(folder, (port, broker_port), SEGMENT_ROWS),
        address=f"http://127.0.0.1:{port}",
        pace=pace,
        stay=stay,
    )
