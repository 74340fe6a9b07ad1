# SPDX-License-Identifier: Apache-2.0
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from insight_cloud.platform.blobs import Blobs, blob_key, open_blobs
from insight_cloud.platform.errors import NotFoundError
from insight_edge.documents.codec import digest
from insight_edge.errors import DigestMismatchError, DocumentError, StorageError


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=4096))
def test_get_returns_what_was_put(blobs: Blobs, data: bytes) -> None:
    name = blobs.put(data)
    assert name == digest(data)
    assert blobs.get(name) == data


def test_a_blob_lies_under_its_tenant_and_digest(blobs: Blobs, tmp_path: Path) -> None:
    name = blobs.put(b"weights")
    hexadecimal = name.removeprefix("sha256:")
    place = tmp_path / "blobs/default/sha256" / hexadecimal[:2] / hexadecimal
    assert place.read_bytes() == b"weights"


def test_put_does_not_write_again_when_the_blob_is_there(blobs: Blobs, tmp_path: Path) -> None:
    name = blobs.put(b"weights")
    place = tmp_path / "blobs" / blob_key(name)
    before = place.stat()
    assert blobs.put(b"weights") == name
    assert (place.stat().st_ino, place.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("damage", [b"", b"weightz", b"weights and more"])
def test_a_damaged_blob_is_never_returned(blobs: Blobs, tmp_path: Path, damage: bytes) -> None:
    name = blobs.put(b"weights")
    (tmp_path / "blobs" / blob_key(name)).write_bytes(damage)
    with pytest.raises(DigestMismatchError, match="damaged"):
        blobs.get(name)


def test_put_replaces_a_damaged_blob(blobs: Blobs, tmp_path: Path) -> None:
    name = blobs.put(b"weights")
    (tmp_path / "blobs" / blob_key(name)).write_bytes(b"")
    assert blobs.put(b"weights") == name
    assert blobs.get(name) == b"weights"


def test_get_says_so_when_there_is_no_such_blob(blobs: Blobs) -> None:
    with pytest.raises(NotFoundError, match="no blob sha256:"):
        blobs.get(digest(b"never put"))


@pytest.mark.parametrize("name", ["", "sha256:", "../../etc/passwd", "sha256:" + "g" * 64])
def test_get_refuses_what_is_no_digest(blobs: Blobs, name: str) -> None:
    with pytest.raises(DocumentError, match="not a digest"):
        blobs.get(name)


def test_open_refuses_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError):
        open_blobs(tmp_path / "file" / "blobs")


FULL_DISK = """
import resource, sys
from pathlib import Path
from insight_cloud.platform.blobs import open_blobs
from insight_edge.errors import StorageError

blobs = open_blobs(Path(sys.argv[1]))
kept = blobs.put(b"small")
limit = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    blobs.put(bytes(limit * 2))
except StorageError as error:
    print(error)
assert blobs.get(kept) == b"small"
"""


def test_put_leaves_nothing_behind_when_the_disk_takes_only_a_part(tmp_path: Path) -> None:
    arguments = [sys.executable, "-c", FULL_DISK, str(tmp_path), str(64 * resource.getpagesize())]
    child = subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=60)
    assert "too large" in child.stdout.lower()
    assert len(child.stdout.splitlines()) == 1
    assert [path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()] == [5]


def test_part_of_a_blob_is_read_without_the_rest(tmp_path: Path) -> None:
    blobs = open_blobs(tmp_path / "blobs")
    name = blobs.put(b"0123456789")
    assert blobs.length_bytes(name) == 10
    assert blobs.part(name, 3, 7) == b"3456"
    for read in (blobs.length_bytes, lambda other: blobs.part(other, 0, 1)):
        with pytest.raises(NotFoundError):
            read("sha256:" + 64 * "0")
