# SPDX-License-Identifier: Apache-2.0
"""A disk that really is full: nothing half-written stays, and what was there stays."""

import errno
import itertools
import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from insight_edge.bundle.open import open_bundle
from insight_edge.bundle.slots import Slots
from insight_edge.errors import StorageError
from tests.fakes.bundles import write_small_bundle

SMALL, LARGE = b"w" * 1_000, b"w" * 900_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    try:
        mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"there is no mount program: {error}")
    if mounted.returncode:
        pytest.skip(f"mounting a small disk is not permitted: {mounted.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@contextmanager
def no_file_longer_than(length_bytes: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (length_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def fill(path: Path) -> None:
    """Write until not one byte more goes on the disk."""
    with suppress(OSError), path.open("wb", buffering=0) as ballast:
        while ballast.write(b"x" * 4096):
            pass


def test_full_disk_leaves_nothing_behind(small_disk: Path) -> None:
    (small_disk / "ballast").write_bytes(b"x" * 500_000)
    with pytest.raises(StorageError, match="no space left on device") as caught:
        write_small_bundle(small_disk / "b", LARGE)
    assert caught.value.hint == "free some space and try again"
    assert os.listdir(small_disk) == ["ballast"]  # noqa: PTH208 - hidden names too, as they lie


def test_full_disk_leaves_the_old_bundle(small_disk: Path) -> None:
    old = write_small_bundle(small_disk / "b", SMALL)
    (small_disk / "ballast").write_bytes(b"x" * 500_000)
    with pytest.raises(StorageError):
        write_small_bundle(small_disk / "b", LARGE)
    assert open_bundle(small_disk / "b", allow_unsigned=True).digest == old
    assert sorted(path.name for path in small_disk.iterdir()) == ["b", "ballast"]


def test_full_disk_leaves_the_committed_slot_and_an_empty_idle_one(
    small_disk: Path, tmp_path: Path
) -> None:
    old = write_small_bundle(tmp_path / "old", SMALL)
    write_small_bundle(tmp_path / "new", LARGE)
    slots = Slots(small_disk / "state")
    slots.commit(slots.stage(tmp_path / "old"))
    (small_disk / "ballast").write_bytes(b"x" * 500_000)
    with pytest.raises(StorageError):
        slots.stage(tmp_path / "new")
    assert slots.committed == "a"
    assert slots.bundle("a", allow_unsigned=True).digest == old
    assert [path.name for path in (small_disk / "state" / "slots").iterdir()] == ["a"]


def test_counter_and_commit_survive_a_disk_without_one_byte(
    small_disk: Path, tmp_path: Path
) -> None:
    write_small_bundle(tmp_path / "b", SMALL)
    slots = Slots(small_disk / "state")
    slots.commit(slots.stage(tmp_path / "b"))
    slots.stage(tmp_path / "b")
    assert slots.next_boot() == 1
    fill(small_disk / "ballast")
    for act in (slots.next_boot, lambda: slots.commit("b")):
        with pytest.raises(StorageError):
            act()
    (small_disk / "ballast").unlink()
    assert slots.committed == "a"
    assert slots.next_boot() == 2
    assert not list((small_disk / "state").glob(".*"))


def test_file_that_may_not_grow_is_a_storage_error(tmp_path: Path) -> None:
    old = write_small_bundle(tmp_path / "b", SMALL)
    with no_file_longer_than(100_000), pytest.raises(StorageError, match="file too large"):
        write_small_bundle(tmp_path / "b", LARGE)
    assert open_bundle(tmp_path / "b", allow_unsigned=True).digest == old
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_old_bundle_is_named_again_where_the_new_one_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = write_small_bundle(tmp_path / "b", SMALL)
    rename, renames = os.rename, itertools.count(1)

    def second_fails(origin: Path, target: Path) -> None:
        if next(renames) == 2:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        rename(origin, target)

    monkeypatch.setattr(os, "rename", second_fails)
    with pytest.raises(StorageError, match="input/output error"):
        write_small_bundle(tmp_path / "b", LARGE)
    assert open_bundle(tmp_path / "b", allow_unsigned=True).digest == old
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_read_only_disk_is_a_storage_error(small_disk: Path) -> None:
    old = write_small_bundle(small_disk / "b", SMALL)
    remount = ["mount", "-o", "remount,ro", str(small_disk)]
    if subprocess.run(remount, capture_output=True, check=False).returncode:
        pytest.skip("remounting is not permitted here")
    with pytest.raises(StorageError, match="read-only file system"):
        write_small_bundle(small_disk / "b", LARGE)
    assert open_bundle(small_disk / "b", allow_unsigned=True).digest == old
