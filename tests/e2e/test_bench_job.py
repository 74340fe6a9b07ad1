# SPDX-License-Identifier: Apache-2.0
"""A device of a fleet times a bundle because somebody asked it to, with the ordinary programs."""

from collections.abc import Iterator

import msgspec
import pytest

from insight_cloud.jobs.job import Member, Terms
from insight_edge.documents.codec import decode_json, encode_json
from insight_edge.documents.manifest import Manifest, ModelInfo
from insight_edge.documents.result import BenchResult, artifact_digest
from insight_edge.fleet.identity import identity_of
from tests.fakes.engine_bundles import onnx_artifact, weights_of, write_engine_bundle
from tests.fakes.fleet_world import DEVICE, Fleet, now, small_fleet
from tests.fakes.programs import insight_cloud

pytestmark = pytest.mark.slow

TERMS = ("--rounds", "5", "--iterations", "200", "--when", "now", "--limit", "2m")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with small_fleet(tmp_path_factory.mktemp("fleet")) as made:
        made.until(lambda: made.reported() is not None)
        yield made


@pytest.fixture(scope="module")
def bundle(fleet: Fleet) -> str:
    """Publish a bundle of two variants of ONNX Runtime, and return its digest."""
    weights = weights_of(0)
    path = fleet.folder / "b"
    write_engine_bundle(
        path, "onnxruntime", onnx_artifact(weights), weights, also=("onnxruntime-again",)
    )
    file = path / "manifest.json"
    manifest = decode_json(Manifest, file.read_bytes())
    file.write_bytes(encode_json(of_fleet(manifest, identity_of(fleet.state).profile)))
    return fleet.cloud.releases.publish(path, by="Ada", now=now()).bundle


def of_fleet(manifest: Manifest, profile: str) -> Manifest:
    model = ModelInfo(name="small", version=1, digest=manifest.model.digest)
    return msgspec.structs.replace(manifest, profile=profile, model=model)


def jobs_of(fleet: Fleet) -> tuple[str, ...] | None:
    """Return the jobs that the device says it has."""
    found = fleet.reported()
    return None if found is None else tuple(one.id for one in found.jobs)


def test_a_device_is_asked_for_a_measurement_and_the_lines_are_here(
    fleet: Fleet, bundle: str
) -> None:
    state = ("--state", fleet.folder / "cloud")
    done = insight_cloud(
        "job", "bench", "small:1", "--on", DEVICE, *TERMS, "-o", "r.jsonl", *state, cwd=fleet.folder
    )
    assert done.returncode == 0, done.stderr
    assert "1 of 1 device done" in done.stderr
    lines = (fleet.folder / "r.jsonl").read_bytes().splitlines()
    results = [decode_json(BenchResult, line) for line in lines]
    manifest = fleet.cloud.releases.manifest(bundle)
    assert {(one.variant, one.artifact) for one in results} == {
        (one.name, artifact_digest(one.files)) for one in manifest.variants
    }
    for line, one in zip(lines, results, strict=True):
        assert line == encode_json(one)
        assert (one.device, one.bundle, one.profile) == (DEVICE, bundle, manifest.profile)
        assert (one.measurement.rounds, len(one.rounds_p50_ms)) == (5, 5)
        assert one.measurement.p50_ms.value > 0
    assert len({one.run for one in results}) == 1
    [job] = fleet.cloud.jobs.list()
    assert (job.state, job.ended is not None) == ("done", True)
    assert fleet.cloud.telemetry.quarantined() == ()
    kept = [one.document.encode() for one in fleet.cloud.jobs.measurements()]
    assert sorted(kept) == sorted(lines)
    fleet.until(lambda: jobs_of(fleet) == ())


def test_a_device_is_asked_as_a_server_is_and_says_what_came_too_late(
    fleet: Fleet, bundle: str
) -> None:
    words = ("--on", DEVICE, "--variant", "onnxruntime-again", "--rounds", "5", "--when", "now")
    asked = ("--scenario", "server", "--rate", "300", "--deadline", "40", "--duration", "1s")
    state = ("--state", fleet.folder / "cloud")
    done = insight_cloud(
        "job", "bench", bundle, *words, *asked, "-o", "s.jsonl", *state, cwd=fleet.folder
    )
    assert done.returncode == 0, done.stderr
    found = decode_json(BenchResult, (fleet.folder / "s.jsonl").read_bytes()).measurement
    assert found.load is not None
    assert (found.scenario, found.load.rate_per_s, found.load.deadline_ms) == ("server", 300, 40)
    assert 150 < found.load.offered < 600
    assert "of 300 a second" in done.stdout
    fleet.until(lambda: jobs_of(fleet) == ())


def test_a_job_under_way_is_taken_back(fleet: Fleet, bundle: str) -> None:
    endless = Terms(rounds=1000, iterations=1_000_000, when="now", limit_s=300.0)
    jobs = fleet.cloud.jobs
    job = jobs.bench(bundle, by="Ada", now=now(), terms=endless)

    def member() -> Member:
        return jobs.members(job.id)[0]

    fleet.until(lambda: member().phase == "measuring")
    jobs.withdraw(job.id, by="Ada", now=now())
    fleet.until(lambda: jobs.get(job.id).ended is not None)
    assert member().state == "withdrawn"
    assert member().heard is not None, "the device has said so itself"
    assert jobs.results(job.id) == ()


def test_nobody_is_asked_to_time_a_revoked_bundle(fleet: Fleet, bundle: str) -> None:
    state = ("--state", fleet.folder / "cloud")
    fleet.cloud.releases.revoke(bundle, by="Ada", now=now())
    done = insight_cloud("job", "bench", bundle, "--on", DEVICE, *TERMS, *state, cwd=fleet.folder)
    assert done.returncode == 2
    assert "was revoked by Ada" in done.stderr
