# SPDX-License-Identifier: Apache-2.0
"""When a job is kept, begun, left alone and given up."""

from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from insight_edge.documents.device import Phase
from insight_edge.documents.facts import EngineFacts, Facts
from insight_edge.documents.job import MAX_JOBS, Job
from insight_edge.fleet.jobs.fitness import PROCESS_BYTES, left_out, needed_bytes, timed
from insight_edge.fleet.jobs.rules import (
    IDLE_SHARE,
    MAX_ATTEMPTS,
    MAX_REMEMBERED,
    Over,
    in_the_way,
    may_begin,
    on_arrival,
    over_untried,
    under_way,
)
from tests.fakes.bundles import bundle_files, bundle_manifest
from tests.fakes.jobs import NOW_S, job_of

IDS = st.sampled_from(["job-1", "job-2", "job-3"])
PHASES: tuple[Phase, ...] = get_args(Phase)


@st.composite
def jobs(draw: st.DrawFn) -> Job:
    return job_of(
        id=draw(IDS),
        withdrawn=draw(st.booleans()),
        when=draw(st.sampled_from(["idle", "now"])),
        expires_s=NOW_S + draw(st.sampled_from([-1.0, 0.0, 1.0])),
    )


@given(jobs(), st.sets(IDS), st.sets(IDS), st.booleans())
def test_what_is_over_is_never_kept_again_and_what_is_kept_never_twice(
    job: Job, kept: set[str], remembered: set[str], refused: bool
) -> None:
    found = on_arrival(job, kept=kept, remembered=remembered, refused=refused, now_s=NOW_S)
    if job.id in remembered:
        assert found == "ignore"
    elif job.withdrawn:
        old = job.id not in kept and job.expires_s < NOW_S
        assert found == "ignore" if old else isinstance(found, Over)
        assert not isinstance(found, Over) or found.status == "withdrawn"
    elif job.id in kept:
        assert found == "ignore"
    else:
        assert (found == "keep") == (not refused)


def test_more_than_a_device_keeps_are_refused() -> None:
    full = {f"job-{n}" for n in range(10, 10 + MAX_JOBS)}
    found = on_arrival(job_of(), kept=full, remembered=(), refused=False, now_s=NOW_S)
    assert isinstance(found, Over)
    assert (found.status, type(found.error).__name__) == ("refused", "LimitExceededError")
    known = [f"old-{n}" for n in range(MAX_REMEMBERED)]
    found = on_arrival(job_of(), kept=(), remembered=known, refused=False, now_s=NOW_S)
    assert isinstance(found, Over)


@given(
    jobs(),
    st.dictionaries(st.sampled_from(["camera-1", "camera-2"]), st.sampled_from(PHASES)),
    st.booleans(),
    st.floats(0, 16),
    st.integers(1, 16),
)
def test_a_job_begins_beside_no_update_on_no_held_device_and_where_it_asks_beside_little_work(
    job: Job, deployments: dict[str, Phase], held: bool, load: float, cores: int
) -> None:
    reason = may_begin(job, deployments, held=held, load=load, cores=cores, now_s=NOW_S)
    idle = set(deployments.values()) <= {"idle"}
    quiet = job.when == "now" or load <= IDLE_SHARE * cores
    timely = job.expires_s >= NOW_S
    assert (reason is None) == (idle and not held and quiet and timely)
    assert (in_the_way(deployments, held=held) is None) == (idle and not held)


def test_reasons_stay_the_same_while_figures_change() -> None:
    job = job_of(when="idle")
    words = {may_begin(job, {}, held=False, load=load, cores=2, now_s=NOW_S) for load in (1, 2, 9)}
    assert words == {"the processors are busy"}
    assert "camera-1" in str(in_the_way({"camera-1": "probation"}, held=False))


@given(jobs(), st.integers(0, 5), st.booleans())
def test_what_waits_is_over_when_it_was_not_survived_or_comes_too_late_or_is_not_let(
    job: Job, attempts: int, refused: bool
) -> None:
    over = over_untried(job, attempts, refused=refused, now_s=NOW_S)
    if refused:
        assert over is not None
        assert over.status == "refused"
    elif attempts >= MAX_ATTEMPTS:
        assert over is not None
        assert over.status == "failed"
    else:
        assert (over is not None) == (job.expires_s < NOW_S)


def facts(**engines: str) -> Facts:
    return Facts(
        arch="x86_64",
        cpu_model="",
        isa=("avx2",),
        cores=2,
        memory_bytes=2**32,
        os="Linux",
        engines={name: EngineFacts(name=name, version=one) for name, one in engines.items()},
    )


def test_variants_without_their_engine_are_left_out_with_the_reason() -> None:
    manifest = bundle_manifest(bundle_files())
    (variant,) = manifest.variants
    token = variant.target.backend
    there = facts(**{token: "1.22.0"})
    assert left_out(manifest, (), there) == {}
    assert timed(manifest, (), there) == (variant,)
    assert left_out(manifest, (), facts()) == {variant.name: f"this device has no {token}"}
    assert timed(manifest, (), facts()) == ()
    asked = ("no-such", variant.name)
    assert left_out(manifest, asked, there) == {"no-such": "the bundle has no such variant"}
    assert timed(manifest, asked, there) == (variant,)


def test_memory_that_is_needed_grows_with_the_artifacts() -> None:
    (variant,) = bundle_manifest(bundle_files(b"w" * 1000)).variants
    assert needed_bytes([]) == PROCESS_BYTES
    assert needed_bytes([variant]) >= 2 * PROCESS_BYTES + 3000


def test_an_update_that_waits_for_an_application_keeps_no_job_waiting() -> None:
    assert [under_way(phase, attached=True) for phase in PHASES] == list(PHASES)
    waiting = [under_way(phase, attached=False) for phase in PHASES]
    assert waiting == ["idle", "fetching", "staging", "idle", "idle"]
