# SPDX-License-Identifier: Apache-2.0
"""A bundle is written whole or not at all, and replaces nothing but a bundle."""

from pathlib import Path

import msgspec
import pytest

from insight_edge.bundle.limits import MANIFEST_NAME
from insight_edge.bundle.open import open_bundle
from insight_edge.bundle.write import copy_bundle, file_entry, write_bundle
from insight_edge.documents.codec import digest
from insight_edge.errors import (
    ConfigurationError,
    DigestMismatchError,
    DocumentError,
    InsightEdgeError,
    LimitExceededError,
    StorageError,
)
from tests.fakes.bundles import ARTIFACT, bundle_files, bundle_manifest, write_small_bundle


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def test_bundle_is_the_manifest_and_its_files_and_nothing_beside(tmp_path: Path) -> None:
    files = bundle_files()
    written = write_bundle(tmp_path / "b", bundle_manifest(files), files)
    assert names(tmp_path) == {"b"}
    assert names(tmp_path / "b") == {MANIFEST_NAME, *files}
    assert written == digest((tmp_path / "b" / MANIFEST_NAME).read_bytes())


def test_equal_bundles_have_equal_digests(tmp_path: Path) -> None:
    assert write_small_bundle(tmp_path / "a") == write_small_bundle(tmp_path / "b")


def test_files_may_be_paths_and_parents_are_made(tmp_path: Path) -> None:
    files = bundle_files(b"w" * 3_000_000)
    (tmp_path / "artifact").write_bytes(files[ARTIFACT])
    target = tmp_path / "x" / "y" / "b"
    write_bundle(target, bundle_manifest(files), files | {ARTIFACT: tmp_path / "artifact"})
    opened = open_bundle(target, allow_unsigned=True)
    assert opened.file(ARTIFACT).read_bytes() == files[ARTIFACT]


def test_existing_bundle_is_replaced(tmp_path: Path) -> None:
    write_small_bundle(tmp_path / "b", b"old")
    second = write_small_bundle(tmp_path / "b", b"new")
    assert open_bundle(tmp_path / "b", allow_unsigned=True).digest == second
    assert names(tmp_path) == {"b"}


def test_bundle_behind_a_link_is_replaced_where_it_lies(tmp_path: Path) -> None:
    write_small_bundle(tmp_path / "b", b"old")
    (tmp_path / "link").symlink_to(tmp_path / "b")
    second = write_small_bundle(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert open_bundle(tmp_path / "b", allow_unsigned=True).digest == second


def test_what_is_not_a_whole_bundle_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    (tmp_path / "empty").mkdir()
    web = tmp_path / "web"
    web.mkdir()
    (web / MANIFEST_NAME).write_text('{"name": "a web app"}')
    more = tmp_path / "more"
    write_small_bundle(more)
    (more / "thesis.tex").write_text("precious")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere" / "dangling")
    for target in (tmp_path / "file", tmp_path / "empty", web, more):
        with pytest.raises(ConfigurationError, match="not a whole bundle"):
            write_small_bundle(target)
    assert (more / "thesis.tex").read_text() == "precious"
    assert names(tmp_path) == {"file", "empty", "web", "more", "dangling"}


def test_source_that_is_not_its_entry_is_refused_and_nothing_stays(tmp_path: Path) -> None:
    files = bundle_files()
    manifest = bundle_manifest(files)
    for wrong in (b"weightS", b"weight", b"weights!"):
        with pytest.raises(DigestMismatchError, match=ARTIFACT):
            write_bundle(tmp_path / "b", manifest, files | {ARTIFACT: wrong})
    assert names(tmp_path) == set()


def test_source_that_cannot_be_read_is_refused_and_nothing_stays(tmp_path: Path) -> None:
    files = bundle_files()
    sources: dict[str, Path | bytes] = {**files, ARTIFACT: tmp_path / "gone"}
    with pytest.raises(DocumentError, match="gone: no such file"):
        write_bundle(tmp_path / "b", bundle_manifest(files), sources)
    assert names(tmp_path) == set()
    with pytest.raises(DocumentError, match="gone"):
        file_entry("f", tmp_path / "gone")


@pytest.mark.parametrize("change", [{ARTIFACT: None}, {"more": b""}])
def test_files_must_be_exactly_those_of_the_manifest(
    tmp_path: Path, change: dict[str, bytes | None]
) -> None:
    manifest = bundle_manifest(bundle_files())
    files = {name: data for name, data in (bundle_files() | change).items() if data is not None}
    with pytest.raises(DocumentError, match="handed in"):
        write_bundle(tmp_path / "b", manifest, files)


def test_manifest_that_would_not_open_is_not_written(tmp_path: Path) -> None:
    files = bundle_files()
    manifest = msgspec.structs.replace(bundle_manifest(files), unknown={"x": "y" * 5_000_000})
    with pytest.raises(LimitExceededError, match="manifest"):
        write_bundle(tmp_path / "b", manifest, files)
    bare = msgspec.structs.replace(bundle_manifest(files), variants=())
    with pytest.raises(DocumentError, match="no variant"):
        write_bundle(tmp_path / "b", bare, files)
    assert names(tmp_path) == set()


def test_place_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file/b: cannot be written: "):
        write_small_bundle(tmp_path / "file" / "b")


def test_copy_is_byte_for_byte_even_where_the_manifest_is_not_canonical(tmp_path: Path) -> None:
    write_small_bundle(tmp_path / "a")
    manifest = tmp_path / "a" / MANIFEST_NAME
    manifest.write_bytes(b" " + manifest.read_bytes())
    original = open_bundle(tmp_path / "a", allow_unsigned=True)
    copy_bundle(original, tmp_path / "b")
    assert open_bundle(tmp_path / "b", allow_unsigned=True).digest == original.digest


@pytest.mark.parametrize("name", [MANIFEST_NAME, ARTIFACT])
def test_copy_of_a_bundle_changed_meanwhile_is_refused(tmp_path: Path, name: str) -> None:
    write_small_bundle(tmp_path / "a")
    bundle = open_bundle(tmp_path / "a", allow_unsigned=True)
    data = bytearray((tmp_path / "a" / name).read_bytes())
    data[3] ^= 1
    (tmp_path / "a" / name).write_bytes(data)
    with pytest.raises(InsightEdgeError) as caught:
        copy_bundle(bundle, tmp_path / "b")
    assert type(caught.value) is DigestMismatchError
    assert names(tmp_path) == {"a"}
