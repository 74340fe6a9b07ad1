# SPDX-License-Identifier: Apache-2.0
"""The journal: written before anything is done, read by the next agent, whatever became of it."""

import math
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from insight_edge.documents.codec import encode_json
from insight_edge.documents.desired import Assignment, Desired
from insight_edge.errors import DocumentError, StorageError
from insight_edge.fleet.journal import MAX_BYTES, Journal
from insight_edge.fleet.update.actions import CancelFetch, FetchBundle, ReportState
from insight_edge.fleet.update.events import (
    Activated,
    Fetched,
    HealthSeen,
    Held,
    HostCame,
    ManifestAccepted,
    Restarted,
    Staged,
    Tick,
    Wanted,
)
from insight_edge.fleet.update.state import UpdateState, durable
from tests.fakes.update_world import health, swap

NAME = "camera-1"


def desired(revision: int) -> Desired:
    return Desired(
        tenant="default",
        device="press-7",
        revision=revision,
        expires_s=2e9,
        deployments={NAME: Assignment(bundle="sha256:" + "0" * 64)},
    )


def file(state: Path, name: str = f"update-{NAME}.json") -> Path:
    return state / "journal" / name


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a quarter of a megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"mounting a small disk is not permitted: {mounted.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def remount(disk: Path, how: str) -> None:
    done = subprocess.run(
        ["mount", "-o", f"remount,{how}", str(disk)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("remounting is not permitted here")


def test_new_journal_knows_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path, [NAME])
    assert (journal.accepted, journal.revision, journal.lost) == (None, 0, [])
    assert journal.update(NAME) == UpdateState()


def test_what_was_accepted_is_read_by_the_next_agent(tmp_path: Path) -> None:
    Journal(tmp_path, [NAME]).accept(desired(7), "sha256:1")
    journal = Journal(tmp_path, [NAME])
    assert journal.accepted is not None
    assert (journal.accepted.desired, journal.accepted.payload) == (desired(7), "sha256:1")
    assert journal.revision == 7


def test_state_is_on_the_disk_before_its_action_is_handed_out(tmp_path: Path) -> None:
    journal = Journal(tmp_path, [NAME, "other"])
    assert journal.advance(NAME, Wanted("B", 1), 5.0) == (FetchBundle("B"), ReportState())
    again = Journal(tmp_path, [NAME, "other"])
    assert durable(again.update(NAME)) == durable(journal.update(NAME))
    assert again.update("other") == UpdateState()
    assert again.advance(NAME, Restarted(None, {}), 6.0)[0] == FetchBundle("B")


def test_every_field_survives(tmp_path: Path) -> None:
    journal = Journal(tmp_path, [NAME])
    journal.advance(NAME, Restarted("a", {"a": "A"}), 0.0)
    for event in (
        HostCame("A"), HealthSeen(health("A")), Wanted("B", 1, 9.0), ManifestAccepted("B"),
        Fetched("B"), Staged("B", "b"), Activated(swap("A", "B")), HealthSeen(health("B")),
        Tick(), Held(),
    ):  # fmt: skip
        journal.advance(NAME, event, 1.0)
    state = journal.update(NAME)
    assert state.phase == "probation"
    kept = Journal(tmp_path, [NAME]).update(NAME)
    assert replace(kept, probation=state.probation) == state
    assert kept.probation is not None


def test_heartbeats_write_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path, [NAME])
    journal.advance(NAME, Restarted("a", {"a": "A"}), 0.0)
    before = file(tmp_path).stat()
    for event in (HostCame("A"), HealthSeen(health("A")), Tick(), HealthSeen(health("A", 300))):
        journal.advance(NAME, event, 1.0)
    assert file(tmp_path).stat() == before


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{", b"[]", b'{"phase": 7}', b"\xff\xfe", b'{"format": 99}', b'{"phase": "dancing"}',
        b" " * (MAX_BYTES + 1), bytes(500),
    ],
)  # fmt: skip
def test_update_that_cannot_be_read_is_moved_aside_and_costs_nothing_else(
    tmp_path: Path, data: bytes
) -> None:
    journal = Journal(tmp_path, [NAME])
    journal.accept(desired(7), "sha256:1")
    journal.advance(NAME, Wanted("B", 7), 5.0)
    file(tmp_path).write_bytes(data)
    journal = Journal(tmp_path, [NAME])
    assert journal.lost == [f"update-{NAME}.json"]
    assert file(tmp_path, f"update-{NAME}.json.unreadable").read_bytes() == data
    assert journal.update(NAME) == UpdateState()
    assert journal.revision == 7
    journal.advance(NAME, Restarted("a", {"a": "A"}), 6.0)
    assert journal.update(NAME).committed == "A"
    assert Journal(tmp_path, [NAME]).lost == []


def test_revision_is_known_though_the_desired_is_lost(tmp_path: Path) -> None:
    journal = Journal(tmp_path, [NAME])
    journal.accept(desired(7), "sha256:1")
    journal.advance(NAME, Wanted("B", 7), 5.0)
    file(tmp_path, "desired.json").write_bytes(b"\0" * 100)
    journal = Journal(tmp_path, [NAME])
    assert journal.accepted is None
    assert journal.revision == 7


def test_directory_in_place_of_a_file_is_moved_aside_too(tmp_path: Path) -> None:
    file(tmp_path).mkdir(parents=True)
    journal = Journal(tmp_path, [NAME])
    assert journal.lost == [f"update-{NAME}.json"]
    journal.advance(NAME, Wanted("B", 1), 5.0)
    assert Journal(tmp_path, [NAME]).update(NAME).phase == "fetching"


def test_what_a_crash_has_left_is_swept(tmp_path: Path) -> None:
    Journal(tmp_path, [NAME])
    file(tmp_path, ".desired.json.0a1b2c3d").write_bytes(b"half")
    Journal(tmp_path, [NAME])
    assert list(file(tmp_path).parent.iterdir()) == []


def test_unknown_fields_of_a_newer_agent_are_passed_on(tmp_path: Path) -> None:
    Journal(tmp_path, [NAME])
    file(tmp_path).write_bytes(encode_json(UpdateState(unknown={"mood": "fine"})))
    journal = Journal(tmp_path, [NAME])
    journal.advance(NAME, Wanted("B", 1), 5.0)
    assert b'"mood":"fine"' in file(tmp_path).read_bytes()


def test_name_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DocumentError):
        Journal(tmp_path, ["../x"])


def test_nothing_is_begun_that_cannot_be_written_down(small_disk: Path) -> None:
    journal = Journal(small_disk, [NAME])
    journal.accept(desired(1), "sha256:1")
    remount(small_disk, "ro")
    with pytest.raises(StorageError):
        journal.accept(desired(2), "sha256:2")
    assert journal.revision == 1
    assert journal.advance(NAME, Wanted("B", 1), 0.0) == (ReportState(),)
    refusal = journal.update(NAME).refusal
    assert refusal is not None
    assert (refusal.kind, refusal.bundle) == ("StorageError", "B")
    assert journal.advance(NAME, Tick(), 5.0) == ()
    remount(small_disk, "rw")
    assert FetchBundle("B") in journal.advance(NAME, Tick(), 10.0)
    assert Journal(small_disk, [NAME]).update(NAME).phase == "fetching"


def test_what_could_not_be_written_is_written_as_soon_as_it_can(small_disk: Path) -> None:
    journal = Journal(small_disk, [NAME])
    journal.advance(NAME, Wanted("B", 1), 0.0)
    remount(small_disk, "ro")
    journal.advance(NAME, Held(), 1.0)
    assert journal.advance(NAME, Wanted("C", 2), 1.0)[0] == CancelFetch()
    remount(small_disk, "rw")
    journal.advance(NAME, Tick(), 2.0)
    kept = Journal(small_disk, [NAME]).update(NAME)
    assert kept.held
    assert kept.wanted is not None
    assert kept.wanted.bundle == "C"


@pytest.mark.parametrize("odd", [math.nan, math.inf, -1.0, 1e300])
def test_odd_figures_of_a_host_reach_no_file(tmp_path: Path, odd: float) -> None:
    journal = Journal(tmp_path, [NAME])
    journal.advance(NAME, Restarted("a", {"a": "A"}), 0.0)
    journal.advance(NAME, HostCame("A"), 0.0)
    for event in (Wanted("B", 1), ManifestAccepted("B"), Fetched("B"), Staged("B", "b")):
        journal.advance(NAME, event, 1.0)
    journal.advance(NAME, Activated(replace(swap("A", "B"), flip_ms=odd)), 2.0)
    journal.advance(NAME, HealthSeen(health("B", p99_ms=odd)), 3.0)
    journal.advance(NAME, HealthSeen(replace(health("B"), asked=2**63)), 3.0)
    state = journal.update(NAME)
    assert state.phase == "probation"
    assert state.probation is not None
    assert state.probation.last is None
    assert Journal(tmp_path, [NAME]).update(NAME).phase == "probation"
