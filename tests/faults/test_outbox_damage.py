# SPDX-License-Identifier: Apache-2.0
"""Files that cannot be read and disks that are full cost messages at most, never the agent."""

import resource
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insight_edge.documents.codec import digest
from insight_edge.documents.topics import Kind
from insight_edge.errors import StorageError
from insight_edge.fleet.link.outbox import Outbox

PAYLOADS = [bytes([n]) * 1500 for n in range(40)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an outbox that was closed in order, with every kind of thing in it."""
    path = tmp_path_factory.mktemp("whole") / "agent.sqlite"
    outbox = Outbox(path, max_bytes=39 * (1500 + 256))
    for payload in PAYLOADS:
        outbox.put(Kind.REPORT, payload)
    outbox.sent([digest(payload) for payload in PAYLOADS[:5]], 0.0)
    outbox.close()
    return path


def assert_works(outbox: Outbox) -> None:
    """Whatever became of the old messages, nothing untrue is said and new ones are kept."""
    outbox.put(Kind.OUTCOME, b"new")
    due = outbox.due(1000, 0.0)
    assert b"new" in {message.payload for message in due}
    assert {message.payload for message in due} <= {*PAYLOADS, b"new"}
    outbox.sent([message.digest for message in due], 0.0)
    assert outbox.acknowledge(message.digest for message in due) == len(due)
    outbox.put(Kind.REPORT, b"newer")


def cut(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(5000)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def rubbish(path: Path) -> None:
    path.write_bytes(b"rubbish" * 10_000)


def folder(path: Path) -> None:
    path.unlink()
    (path / "inside").mkdir(parents=True)


def of_another_program(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE message (id INTEGER)")


def zeroed_in_the_middle(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(bytes(20_000))


@pytest.mark.parametrize("spoil", [cut, rubbish, folder, of_another_program, zeroed_in_the_middle])
def test_what_cannot_be_read_is_moved_aside_and_counted(
    whole: Path, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    path = tmp_path / "agent.sqlite"
    for found in (1, 2):
        shutil.copy(whole, path)
        spoil(path)
        outbox = Outbox(path)
        assert outbox.damaged == found
        assert_works(outbox)
        outbox.close()
        path.unlink()
        assert [one.name for one in tmp_path.iterdir()] == [f"agent.sqlite.damaged-{found}"] or (
            spoil is folder  # what someone put into a folder is not ours to delete
        )


def test_an_empty_file_is_a_new_outbox(tmp_path: Path) -> None:
    empty(tmp_path / "agent.sqlite")
    outbox = Outbox(tmp_path / "agent.sqlite")
    assert_works(outbox)
    assert outbox.damaged == 0
    outbox.close()


def test_file_that_is_spoilt_under_way_costs_no_call(tmp_path: Path) -> None:
    path = tmp_path / "agent.sqlite"
    outbox = Outbox(path)
    for n in range(800):  # more than is held in memory
        outbox.put(Kind.PREDICTION, n.to_bytes(2) * 4_000)
    zeroes = bytes(path.stat().st_size)
    with path.open("r+b") as file:
        file.write(zeroes)
    outbox.put(Kind.REPORT, b"goes where the damage is not seen yet")
    outbox.due(1000, 0.0)
    assert outbox.damaged == 1
    assert_works(outbox)
    outbox.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount one megabyte, some of it taken."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    try:
        mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"there is no mount program: {error}")
    if mounted.returncode:
        pytest.skip(f"mounting a small disk is not permitted: {mounted.stderr.strip()}")
    (disk / "ballast").write_bytes(bytes(400_000))
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


@settings(max_examples=80, deadline=None)
@given(flips=st.lists(st.tuples(st.floats(0, 1), st.integers(1, 255)), min_size=1, max_size=30))
def test_no_flipped_byte_ends_the_agent_or_makes_it_say_what_is_untrue(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, flips: list[tuple[float, int]]
) -> None:
    path = tmp_path_factory.mktemp("flipped") / "agent.sqlite"
    data = bytearray(whole.read_bytes())
    for place, mask in flips:
        data[int(place * (len(data) - 1))] ^= mask
    path.write_bytes(data)
    outbox = Outbox(path)
    assert_works(outbox)
    outbox.close()
    shutil.rmtree(path.parent)


def test_payload_that_rotted_is_counted_and_not_sent(whole: Path, tmp_path: Path) -> None:
    path = tmp_path / "agent.sqlite"
    data = whole.read_bytes()
    place = data.index(PAYLOADS[20])
    path.write_bytes(data[: place + 700] + b"!" + data[place + 701 :])
    outbox = Outbox(path)
    assert PAYLOADS[20] not in {message.payload for message in outbox.due(1000, 100.0)}
    assert outbox.waiting[Kind.REPORT].messages == len(PAYLOADS) - 2
    assert outbox.lost == {"report": 2}
    assert outbox.damaged == 0
    outbox.close()


def fill(outbox: Outbox) -> None:
    """Put until the disk is full."""
    for n in range(1_000):
        outbox.put(Kind.PREDICTION, n.to_bytes(2) * 2_000)


@contextmanager
def no_file_longer_than(length_bytes: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (length_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_full_disk_refuses_a_message_and_keeps_the_others(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "agent.sqlite")
    outbox.put(Kind.REPORT, b"before")
    with no_file_longer_than(200_000), pytest.raises(StorageError, match="cannot be written"):
        fill(outbox)
    kept = outbox.waiting[Kind.PREDICTION].messages
    outbox.put(Kind.REPORT, b"after")
    due = outbox.due(1000, 0.0)
    assert {message.payload for message in due} >= {b"before", b"after"}
    assert len(due) == kept + 2
    assert (outbox.lost, outbox.damaged) == ({}, 0)
    outbox.close()


def test_disk_that_is_full_from_the_start_is_an_error_of_one_line(tmp_path: Path) -> None:
    with no_file_longer_than(1_000), pytest.raises(StorageError, match="cannot be written"):
        Outbox(tmp_path / "agent.sqlite")
    outbox = Outbox(tmp_path / "agent.sqlite")
    assert_works(outbox)
    outbox.close()


def test_one_megabyte_that_is_full_to_the_last_byte(small_disk: Path) -> None:
    outbox = Outbox(small_disk / "agent.sqlite")
    outbox.put(Kind.REPORT, b"before")
    with pytest.raises(StorageError) as caught:
        fill(outbox)
    assert caught.value.hint == "free some space and try again"
    names = [message.digest for message in outbox.due(1000, 0.0)]
    (small_disk / "ballast").unlink()
    assert outbox.acknowledge(names) == len(names)
    outbox.put(Kind.REPORT, b"after")
    assert [message.payload for message in outbox.due(9, 0.0)] == [b"after"]
    outbox.close()
