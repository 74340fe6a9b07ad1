# SPDX-License-Identifier: Apache-2.0
"""Every way to hand in a bad bundle, and the one error that each of them is."""

import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from insight_edge.bundle.limits import MANIFEST_NAME, Limits
from insight_edge.bundle.npz import npz_from_arrays
from insight_edge.bundle.open import open_bundle
from insight_edge.bundle.write import file_entry
from insight_edge.documents.codec import encode_json, from_plain, to_plain
from insight_edge.documents.manifest import FileEntry, Manifest
from insight_edge.errors import (
    DigestMismatchError,
    DocumentError,
    InsightEdgeError,
    LimitExceededError,
    TensorMismatchError,
    UnsupportedVersionError,
)
from tests.fakes.bundles import (
    ARTIFACT,
    EVIDENCE,
    GOLDEN,
    bundle_files,
    bundle_manifest,
    bundle_variant,
    write_small_bundle,
)

FILES = (MANIFEST_NAME, ARTIFACT, GOLDEN, EVIDENCE)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    write_small_bundle(tmp_path / "bundle")
    return tmp_path / "bundle"


def refused(bundle: Path, kind: type[InsightEdgeError], line: str) -> None:
    """Open, and expect exactly this error with one clear line."""
    with pytest.raises(InsightEdgeError, match=line) as caught:
        open_bundle(bundle, allow_unsigned=True)
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)


# What lies in the directory.


def to_link(path: Path) -> None:
    path.rename(path.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent / "elsewhere")


def to_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def to_socket(path: Path) -> None:
    path.unlink()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def to_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def to_device(path: Path) -> None:
    path.unlink()
    try:
        os.mknod(path, 0o20644, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("making a device node is not permitted here")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (to_link, "links are not followed"),
        (to_pipe, "not a regular file"),
        (to_socket, "no such device or address"),
        (to_directory, "not a regular file"),
        (to_device, "not a regular file"),
        (Path.unlink, "no such file|is missing"),
    ],
)
def test_what_is_not_a_regular_file_is_refused(
    bundle: Path, name: str, damage: Callable[[Path], None], line: str
) -> None:
    damage(bundle / name)
    refused(bundle, DocumentError, line)


@pytest.mark.parametrize("name", ["extra", ".hidden", "model.onnx.bak", "ünïcode", "new\nline"])
def test_file_that_the_manifest_does_not_name_is_refused(bundle: Path, name: str) -> None:
    (bundle / name).write_bytes(b"")
    refused(bundle, DocumentError, "does not name")


def test_directory_inside_is_refused(bundle: Path) -> None:
    (bundle / "weights").mkdir()
    refused(bundle, DocumentError, "does not name 'weights'")


def test_endless_directory_is_not_listed_to_its_end(bundle: Path) -> None:
    for index in range(Limits().max_files):
        (bundle / f"extra{index}").touch()
    refused(bundle, LimitExceededError, "more than 65 files")


def test_no_directory_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", DocumentError, "no such file")
    (tmp_path / "file").touch()
    refused(tmp_path / "file", DocumentError, "not a directory")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", DocumentError, r"manifest\.json: no such file")


# What the files hold.


@pytest.mark.parametrize("name", [ARTIFACT, GOLDEN, EVIDENCE])
def test_every_flipped_bit_of_every_file_is_found(bundle: Path, name: str) -> None:
    whole = (bundle / name).read_bytes()
    for at in range(0, len(whole), max(1, len(whole) // 50)):
        data = bytearray(whole)
        data[at] ^= 1 << at % 8
        (bundle / name).write_bytes(data)
        refused(bundle, DigestMismatchError, f"{name}: its SHA-256")


@pytest.mark.parametrize("name", [ARTIFACT, GOLDEN, EVIDENCE])
@pytest.mark.parametrize("change", [-1, 1])
def test_file_of_another_length_is_refused(bundle: Path, name: str, change: int) -> None:
    whole = (bundle / name).read_bytes()
    (bundle / name).write_bytes((whole + b"\0")[: len(whole) + change])
    refused(bundle, DigestMismatchError, "the manifest says")


def test_manifest_cut_at_any_byte_is_refused(bundle: Path) -> None:
    path = bundle / MANIFEST_NAME
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        refused(bundle, DocumentError, "not JSON")


def test_any_flipped_bit_of_the_manifest_gives_another_digest_or_an_input_error(
    bundle: Path,
) -> None:
    path = bundle / MANIFEST_NAME
    whole = path.read_bytes()
    digest = open_bundle(bundle, allow_unsigned=True).digest
    for at in range(len(whole)):
        data = bytearray(whole)
        data[at] ^= 1 << at % 8
        path.write_bytes(data)
        try:
            assert open_bundle(bundle, allow_unsigned=True).digest != digest
        except DocumentError:
            continue


@pytest.mark.parametrize(
    ("data", "kind", "line"),
    [
        (b"[]", DocumentError, "expected an object"),
        (b"{}", DocumentError, "missing required field"),
        (b"\xff\xfe", DocumentError, "not JSON"),
        (b"[" * 100_000, DocumentError, "not JSON"),
        (b" " * (Limits().max_manifest_bytes + 1), LimitExceededError, "longer than"),
        (b'{"a":' * 40 + b"1" + b"}" * 40, DocumentError, "missing required field"),
        (b'{"format": 99}', UnsupportedVersionError, "format 99 is newer"),
    ],
)
def test_manifest_that_is_none_is_refused(
    bundle: Path, data: bytes, kind: type[InsightEdgeError], line: str
) -> None:
    (bundle / MANIFEST_NAME).write_bytes(data)
    refused(bundle, kind, line)


# What the manifest says.


def rewrite(bundle: Path, manifest: Manifest) -> None:
    (bundle / MANIFEST_NAME).write_bytes(encode_json(manifest))


def with_files(*files: FileEntry) -> Manifest:
    manifest = bundle_manifest(bundle_files())
    variant = msgspec.structs.replace(manifest.variants[0], files=files)
    return msgspec.structs.replace(manifest, variants=(variant,))


def entry(**changes: Any) -> FileEntry:
    return msgspec.structs.replace(file_entry(ARTIFACT, b"weights"), **changes)


@pytest.mark.parametrize(
    "name",
    [
        "../model.onnx",
        "/etc/passwd",
        "a/b",
        "a\\b",
        ".",
        "..",
        ".hidden",
        "",
        "a" * 101,
        "nul\0",
        "new\nline",
        "ü",
        MANIFEST_NAME,
    ],
)
def test_name_that_is_not_flat_is_refused(bundle: Path, name: str) -> None:
    rewrite(bundle, with_files(entry(), entry(path=name)))
    refused(bundle, DocumentError, "is not a file name")


@pytest.mark.parametrize(
    ("manifest", "kind", "line"),
    [
        (with_files(entry(sha256="0" * 63)), DocumentError, "not 64 hexadecimal digits"),
        (with_files(entry(sha256="G" * 64)), DocumentError, "not 64 hexadecimal digits"),
        (with_files(entry(length_bytes=-1)), DocumentError, "negative"),
        (with_files(entry(length_bytes=2**62)), LimitExceededError, "at most"),
        (with_files(entry(), entry()), DocumentError, "names a file twice"),
        (with_files(entry(), entry(path=GOLDEN)), DocumentError, "two files are called"),
        (with_files(entry(path="other")), DocumentError, "does not have its entry"),
        (with_files(), DocumentError, "does not have its entry"),
        (
            with_files(*(entry(path=ARTIFACT + "x" * n) for n in range(63))),
            LimitExceededError,
            "65 files",
        ),
        (
            with_files(entry(), *(entry(path=n, length_bytes=2**31) for n in "abc")),
            LimitExceededError,
            "bytes in all",
        ),
        (with_files(entry(), entry(path="missing")), DocumentError, "'missing' is missing"),
        (with_files(entry(sha256="0" * 64)), DigestMismatchError, "SHA-256"),
    ],
)
def test_manifest_that_cannot_be_meant_is_refused(
    bundle: Path, manifest: Manifest, kind: type[InsightEdgeError], line: str
) -> None:
    rewrite(bundle, manifest)
    refused(bundle, kind, line)


def test_two_variants_of_one_name_are_refused(bundle: Path) -> None:
    manifest = with_files(entry())
    twice = manifest.variants * 2
    rewrite(bundle, msgspec.structs.replace(manifest, variants=twice))
    refused(bundle, DocumentError, "two variants")


def test_variants_that_disagree_on_a_file_are_refused(bundle: Path) -> None:
    manifest = with_files(entry())
    other = bundle_variant("other", (entry(sha256="0" * 64),))
    rewrite(bundle, msgspec.structs.replace(manifest, variants=(*manifest.variants, other)))
    refused(bundle, DocumentError, "two files are called")


def test_field_of_the_wrong_type_is_named(bundle: Path) -> None:
    plain = to_plain(with_files(entry()))
    plain["golden"]["rows"] = "two"
    (bundle / MANIFEST_NAME).write_bytes(msgspec.json.encode(plain))
    with pytest.raises(DocumentError):
        from_plain(Manifest, plain)
    refused(bundle, DocumentError, r"\$\.golden\.rows")


# What the golden samples and the evidence hold: refused when they are asked for.


def replaced(bundle: Path, name: str, data: bytes) -> None:
    """Put other contents into a file and make the manifest agree with them."""
    files: Mapping[str, bytes] = bundle_files() | {name: data}
    (bundle / name).write_bytes(data)
    rewrite(bundle, bundle_manifest(files))


@pytest.mark.parametrize(
    ("data", "kind", "line"),
    [
        (b"no zip", DocumentError, "not an .npz"),
        (npz_from_arrays({}), TensorMismatchError, "found"),
        (
            npz_from_arrays({"input.x": np.zeros((2, 3)), "output.y": np.zeros((2, 2))}),
            TensorMismatchError,
            "float64",
        ),
    ],
)
def test_golden_samples_that_are_none_are_refused(
    bundle: Path, data: bytes, kind: type[InsightEdgeError], line: str
) -> None:
    replaced(bundle, GOLDEN, data)
    opened = open_bundle(bundle, allow_unsigned=True)
    with pytest.raises(InsightEdgeError, match=line) as caught:
        opened.golden()
    assert type(caught.value) is kind


def test_evidence_that_is_none_is_refused(bundle: Path) -> None:
    replaced(bundle, EVIDENCE, b"{}")
    opened = open_bundle(bundle, allow_unsigned=True)
    with pytest.raises(DocumentError, match="Evidence"):
        opened.evidence()
