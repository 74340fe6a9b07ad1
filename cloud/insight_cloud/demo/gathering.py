# SPDX-License-Identifier: Apache-2.0
"""Stop the streams, let everything arrive, and gather the demo's figures."""

import math
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from insight_cloud.demo.client import Client
from insight_cloud.demo.figures import (
    Device,
    accuracy_of,
    in_swap,
    latency_of,
    mixed_answers,
    windows_to_alarm,
)
from insight_cloud.demo.people import Work
from insight_cloud.demo.programs import ProgramError, call
from insight_cloud.demo.promises import Story
from insight_cloud.demo.recording import Recording
from insight_cloud.demo.stage import DEPLOYMENT, MODEL, Scenery, Stage
from insight_cloud.demo.stage import Device as OnStage
from insight_cloud.demo.watching import Seen
from insight_cloud.installation import Installation, open_installation
from insight_cloud.labels.exporting import MAX_BYTES
from insight_cloud.labels.rules import TaskState
from insight_cloud.platform.settings import Settings
from insight_edge.bundle.contents import contents
from insight_edge.bundle.npz import arrays_from_npz, npz_from_arrays
from insight_edge.bundle.open import Bundle
from insight_edge.bundle.slots import SLOTS, Slots
from insight_edge.documents.manifest import FileEntry
from insight_edge.errors import InsightEdgeError
from insight_edge.fleet.identity import deployment_dir

ARRIVE_S, SETTLED_S = 40.0, 6.0
"""Until reports are given up; until those of calls cut off by kills are, when no more arrive."""

POLL_S = 0.3
UNCOUNTED_S = 0.5
"""A runtime that is killed has not counted the calls of so long: one flush and a margin."""


@dataclass(frozen=True, kw_only=True)
class Moments:
    """What only whoever told the story knows.

    Attributes:
        started_s: monotonic.
        shifted_s: since the epoch; None where the world stayed as it was.
        application_kills: how often an application was killed.
    """

    started_s: float
    shifted_s: float | None
    application_kills: int = 0


def gather(
    stage: Stage,
    scene: Scenery,
    client: Client,
    seen: Seen,
    work: Work,
    moments: Moments,
) -> Story:
    """Return what happened, in figures, once all that was counted has arrived.

    Raises:
        ProgramError: a program ended or refused.
    """
    stage.stop_asking()
    pace = stage.pace
    each = math.ceil(pace.callers * (1 + pace.rate_hz * UNCOUNTED_S))
    cut_off = moments.application_kills * each
    recordings = {device.name: device.recording() for device in stage.devices}
    with open_installation(Settings(state=stage.folder / "cloud")) as cloud:
        _await_reports(cloud, recordings, cut_off)
        final_labelled = _final_labelled(cloud, scene)
        devices = tuple(
            _device(
                stage,
                device,
                recordings[device.name],
                scene,
                client,
                cloud,
                seen,
                moments.shifted_s,
            )
            for device in stage.devices
        )
    return Story(
        shifted=moments.shifted_s is not None,
        devices=devices,
        alarms=len(seen.alarms),
        runs=0 if seen.run is None else seen.run["number"],
        run_state=None if seen.run is None else seen.run["state"],
        labelled=work.labelled,
        final_labelled=final_labelled,
        first_ahead_s=_first_ahead_s(client, seen),
        cut_off=cut_off,
        wall_s=time.monotonic() - moments.started_s,
    )


def _device(  # noqa: PLR0917 (all that is known of it)
    stage: Stage,
    device: OnStage,
    recording: Recording,
    scene: Scenery,
    client: Client,
    cloud: Installation,
    seen: Seen,
    shifted_s: float | None,
) -> Device:
    old, new = _bundles(device)
    final = ~scene.pool[recording.image]
    after = recording.world == 1
    by_new = np.full(len(after), False) if new is None else recording.bundle == new.digest
    alarms = [one for one in seen.alarms.values() if one["bundle"] == old.digest]
    opened = [_moment_s(one["opened"]) for one in alarms]
    late = [
        one for one, at in zip(alarms, opened, strict=True) if shifted_s is None or at >= shifted_s
    ]
    segment = min((one["segment"] for one in late), default=None)
    windows = client.get(f"/v1/bundles/{old.digest}/assessments", limit=200)
    reported = cloud.devices.reported(device.name)
    swap = reported.deployments[DEPLOYMENT].swap if reported else None
    standing = cloud.telemetry.health(device=device.name)[device.name]
    own = {bundle.digest: _answers(stage, bundle, scene) for bundle in (old, new) if bundle}
    return Device(
        name=device.name,
        profile=device.machine.id,
        before=accuracy_of(recording, scene.labels, final & ~after),
        under=accuracy_of(recording, scene.labels, final & after & ~by_new),
        after=accuracy_of(recording, scene.labels, final & after & by_new),
        windows_to_alarm=windows_to_alarm(windows, shifted_s or 0.0, segment),
        early_alarms=len(alarms) - len(late),
        asked=recording.asked,
        answered=len(recording.image),
        failed=recording.failed,
        mixed=int(mixed_answers(recording, own).sum()),
        swap=latency_of(recording.latency_ns[in_swap(recording, swap)]),
        bundle_bytes=None if new is None else _length(new),
        fetched_bytes=None if new is None else _length(new, without=old),
        reported=_reported(cloud, device.name),
        reports=standing.reports,
        report_bytes=standing.report_bytes or 0.0,
        lost=standing.missing,
    )


def _final_labelled(cloud: Installation, scene: Scenery) -> int:
    """Return how many labelled images are of the final split, and not in the pool as well."""
    if not cloud.labels.counts(MODEL).states.get(TaskState.FINISHED):
        return 0
    data = cloud.labels.export(MODEL)
    labelled = {
        image.tobytes()
        for image in arrays_from_npz(data, max_bytes=MAX_BYTES, max_arrays=8)["image"]
    }
    pool = {image.tobytes() for world in scene.images for image in world[scene.pool]}
    final = {image.tobytes() for world in scene.images for image in world[~scene.pool]}
    return len(labelled & (final - pool))


def _await_reports(cloud: Installation, recordings: dict[str, Recording], cut_off: int) -> None:
    before, since_s = None, time.monotonic()
    deadline_s = since_s + ARRIVE_S
    while missing := _missing(cloud, recordings):
        now_s = time.monotonic()
        if missing != before:
            before, since_s = missing, now_s
        settled = missing <= cut_off and now_s - since_s > SETTLED_S
        if settled or now_s > deadline_s:
            return  # the promise about it says what is missing
        time.sleep(POLL_S)


def _missing(cloud: Installation, recordings: dict[str, Recording]) -> int:
    """Return how many calls the cloud does not know of; one doubled elsewhere makes up for none."""
    return sum(max(0, one.asked - _reported(cloud, name)) for name, one in recordings.items())


def _reported(cloud: Installation, device: str) -> int:
    """Return how many calls of a device the cloud knows of."""
    now = datetime.now(UTC)
    totals = cloud.telemetry.totals(since=now - timedelta(days=1), until=now, device=device)
    return sum(one.counts.asked for one in totals.values())


def _bundles(device: OnStage) -> tuple[Bundle, Bundle | None]:
    """Return the bundles in a device's slots by version; None for one that never came."""
    slots = Slots(deployment_dir(device.state, DEPLOYMENT))
    found: list[Bundle] = []
    for slot in SLOTS:
        try:
            found.append(slots.bundle(slot, allow_unsigned=True))
        except InsightEdgeError:
            continue  # nothing is in it
    found.sort(key=lambda bundle: bundle.manifest.model.version)
    if not found:
        raise ProgramError(f"{device.name} has no bundle")
    return found[0], found[1] if len(found) > 1 else None


def _answers(stage: Stage, bundle: Bundle, scene: Scenery) -> NDArray[np.float32]:
    """Return a bundle's own probabilities (worlds, images, classes), from a process of its own."""
    worlds, images = scene.images.shape[:2]
    every = stage.folder / "every-image.npz"
    if not every.exists():
        flat = scene.images.reshape(worlds * images, *scene.images.shape[2:])
        every.write_bytes(npz_from_arrays({"image": flat}))
    answers = stage.folder / f"answers-{bundle.digest.removeprefix('sha256:')}.npz"
    if not answers.exists():
        call("insight-edge", "run", bundle.path, "--input", every, "-o", answers)
    with np.load(answers, allow_pickle=False) as file:
        found: NDArray[np.float32] = file["probabilities"]
    return found.reshape(worlds, images, -1)


def _length(bundle: Bundle, without: Bundle | None = None) -> int:
    """Return the bytes of a bundle's files, those left out that another one has too."""
    held = set() if without is None else {entry.sha256 for entry in _files(without)}
    return sum(entry.length_bytes for entry in _files(bundle) if entry.sha256 not in held)


def _files(bundle: Bundle) -> tuple[FileEntry, ...]:
    return tuple(contents(bundle.manifest, bundle.limits).values())


def _first_ahead_s(client: Client, seen: Seen) -> float | None:
    """Return how long before all others the canary of the last rollout had committed."""
    last = max((i for i, one in seen.rollouts.items() if one["version"] > 1), default=None)
    if last is None:
        return None
    members = client.get(f"/v1/rollouts/{last}")["members"]
    first = [_moment_s(m["committed"]) for m in members if m["wave"] == 0 and m["committed"]]
    others = [_moment_s(m["asked"]) for m in members if m["wave"] and m["asked"]]
    return min(others) - max(first) if first and others else None


def _moment_s(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
