# SPDX-License-Identifier: Apache-2.0
"""The seams of a run over the real domains."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from insight_cloud.monitoring.tables import AlarmRow
from insight_cloud.pipelines.fleet import deployed
from insight_cloud.pipelines.neighbours import (
    DeviceSamples,
    FleetRollouts,
    MonitoringAlarms,
    PeoplesLabels,
)
from insight_cloud.pipelines.seams import RolloutEnd, Target
from insight_cloud.platform.clock import now
from insight_cloud.platform.schema import TENANT
from insight_edge.bundle.npz import arrays_from_npz
from insight_edge.bundle.write import write_bundle
from insight_edge.documents.manifest import ModelInfo
from tests.fakes.bundles import bundle_files, bundle_manifest
from tests.fakes.operators import DEVICE, MODEL, Operators, open_operators


@pytest.fixture
def operators(tmp_path: Path) -> Iterator[Operators]:
    with open_operators(tmp_path) as operators:
        yield operators


def test_labels_are_counted_and_exported(operators: Operators) -> None:
    labels = PeoplesLabels(operators.cloud.labels)
    assert labels.finished(MODEL, tenant=TENANT) == 0
    operators.cloud.labels.answer(operators.task, "dog", by="ada", now=now())
    assert labels.finished(MODEL, tenant=TENANT) == 1
    found = arrays_from_npz(labels.export(MODEL, tenant=TENANT), max_bytes=2**20, max_arrays=9)
    assert found["labels"].tolist() == [1]
    assert found["image"].shape == (1, 8, 8)


def test_samples_are_asked_for_up_to_a_number(operators: Operators) -> None:
    samples = DeviceSamples(operators.cloud.telemetry)
    assert (
        samples.ask(operators.bundle, most=5, each=5, since_s=None, now=now(), tenant=TENANT) == 0
    )


def test_where_a_model_runs_is_what_devices_should_run(operators: Operators) -> None:
    cloud = operators.cloud

    def where(deployment: str = "default") -> tuple[int, frozenset[str], dict[int, int]]:
        found = deployed(cloud.devices, cloud.releases, MODEL, deployment, tenant=TENANT)
        assert bool(found.profiles) == bool(found.devices)
        return found.devices, found.bundles, found.versions

    assert where() == (0, frozenset(), {})
    cloud.devices.set_desired(DEVICE, "default", operators.bundle, by="ada", now=now())
    assert where() == (1, frozenset({operators.bundle}), {1: 1})
    assert where("other") == (0, frozenset(), {})
    cloud.devices.set_desired(DEVICE, "default", "sha256:" + "0" * 64, by="ada", now=now())
    assert where() == (0, frozenset(), {})


def test_a_rollout_is_started_once_and_its_end_is_seen(operators: Operators) -> None:
    cloud = operators.cloud
    _publish_for(operators, cloud.devices.device(DEVICE).profile)
    rollouts = FleetRollouts(cloud.rollouts)
    target = Target(MODEL, 1, "default")

    def start() -> str:
        return rollouts.start(target, plan={"waves": ["100%"]}, by="me", now=now(), tenant=TENANT)

    first = start()
    assert start() == first
    seen = rollouts.seen(first, tenant=TENANT)
    assert seen.end is None
    assert seen.text.startswith("wave 1 of ")
    cloud.rollouts.abort(int(first), by="ada", now=now(), reason="enough")
    seen = rollouts.seen(first, tenant=TENANT)
    assert (seen.end, "enough" in seen.text) == (RolloutEnd.ABORTED, True)
    assert start() == first


def test_an_alarm_is_seen_and_closed_once(operators: Operators) -> None:
    cloud = operators.cloud
    opened = now() - timedelta(minutes=1)
    columns = AlarmRow.__table__.columns
    values = {
        "id": 1, "model": MODEL, "version": 1, "bundle": operators.bundle, "opened": opened,
        "sentence": "Images are darker.",
    }  # fmt: skip
    blank = {
        column.name: "" if column.type.python_type is str else 0
        for column in columns
        if not column.nullable and column.name not in {"tenant", *values}
    }
    with cloud.database.write() as session:
        session.add(AlarmRow(**blank | values))
    alarms = MonitoringAlarms(cloud.monitoring)
    [alarm] = alarms.open(tenant=TENANT)
    assert (alarm.id, alarm.model, alarm.bundle) == ("1", MODEL, operators.bundle)
    assert alarm.opened == opened
    assert alarm.sentence.startswith("Images are darker.")
    for _ in range(2):
        alarms.close("1", reason="retrained", by="pipeline", now=now(), tenant=TENANT)
    assert alarms.open(tenant=TENANT) == ()
    assert cloud.monitoring.alarm(1).closed_by == "pipeline"


def _publish_for(operators: Operators, profile: str) -> None:
    files = bundle_files(b"for the device")
    manifest = bundle_manifest(files)
    model = ModelInfo(name=MODEL, version=1, digest=manifest.model.digest)
    folder = operators.cloud.settings.state / "for-the-device"
    write_bundle(folder, msgspec.structs.replace(manifest, model=model, profile=profile), files)
    operators.cloud.releases.publish(folder, by="Ada", now=now())
