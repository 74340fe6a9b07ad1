# SPDX-License-Identifier: Apache-2.0
"""What an opened bundle gives; everything that is not opened is in tests/faults."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insight_edge.bundle.limits import Limits
from insight_edge.bundle.open import open_bundle
from insight_edge.bundle.write import file_entry, write_bundle
from insight_edge.documents.manifest import Manifest, Provenance
from insight_edge.documents.steps import Cast, Label, Scale, Tokenize
from insight_edge.errors import (
    ConfigurationError,
    DigestMismatchError,
    DocumentError,
    LimitExceededError,
    UnsignedError,
)
from tests.fakes.bundles import (
    ARTIFACT,
    GOLDEN,
    bundle_files,
    bundle_manifest,
    bundle_variant,
    golden_inputs,
    golden_outputs,
    write_small_bundle,
)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    write_small_bundle(tmp_path / "bundle")
    return tmp_path / "bundle"


def test_unsigned_bundle_is_refused_where_it_is_not_allowed(directory: Path) -> None:
    with pytest.raises(UnsignedError, match="not signed") as caught:
        open_bundle(directory, allow_unsigned=False)
    assert caught.value.hint is not None
    assert "allow_unsigned" in caught.value.hint


def test_opened_bundle_says_that_it_is_unsigned(directory: Path) -> None:
    assert not open_bundle(directory, allow_unsigned=True).signed


def test_files_variants_evidence_and_golden_samples_are_found(directory: Path) -> None:
    bundle = open_bundle(directory, allow_unsigned=True)
    assert bundle.file(ARTIFACT).read_bytes() == b"weights"
    assert bundle.variant() == bundle.variant("fp32") == bundle.manifest.variants[0]
    assert bundle.evidence().profile == "bench"
    samples = bundle.golden()
    np.testing.assert_array_equal(samples.inputs["x"], golden_inputs()["x"])
    np.testing.assert_array_equal(samples.outputs["y"], golden_outputs()["y"])


def test_unknown_variant_is_refused_with_those_there_are(directory: Path) -> None:
    with pytest.raises(ConfigurationError, match="no variant 'int8'") as caught:
        open_bundle(directory, allow_unsigned=True).variant("int8")
    assert caught.value.hint == "one of fp32"


@pytest.mark.parametrize("name", ["../bundle/model.onnx", "manifest.json", "other"])
def test_file_that_the_manifest_does_not_name_has_no_path(directory: Path, name: str) -> None:
    with pytest.raises(DocumentError, match="does not name"):
        open_bundle(directory, allow_unsigned=True).file(name)


def test_golden_samples_changed_after_opening_are_refused(directory: Path) -> None:
    bundle = open_bundle(directory, allow_unsigned=True)
    data = bytearray((directory / GOLDEN).read_bytes())
    data[-30] ^= 1
    (directory / GOLDEN).write_bytes(data)
    with pytest.raises(DigestMismatchError, match=GOLDEN):
        bundle.golden()


def test_bundle_is_found_through_a_link_to_it(directory: Path) -> None:
    link = directory.parent / "current"
    link.symlink_to(directory)
    assert open_bundle(link, allow_unsigned=True).manifest.profile == "bench"


def test_a_bundle_of_contenders_alone_is_refused(tmp_path: Path) -> None:
    files = bundle_files()
    manifest = bundle_manifest(files)
    only = msgspec.structs.replace(manifest.variants[0], role="contender")
    alone = msgspec.structs.replace(manifest, variants=(only,))
    with pytest.raises(DocumentError, match="no variant serves, the first is a contender"):
        write_bundle(tmp_path / "b", alone, files)


def test_vocabulary_is_a_file_of_the_bundle_like_any_other(tmp_path: Path) -> None:
    files = bundle_files()
    entry = file_entry("vocabulary.json", b"{}")
    step = Tokenize(source="text", result="ids", length=9, vocabulary=entry)
    manifest = msgspec.structs.replace(bundle_manifest(files), pre=(step,))
    with pytest.raises(DocumentError, match=r"the manifest names .*vocabulary\.json"):
        write_bundle(tmp_path / "b", manifest, files)
    write_bundle(tmp_path / "b", manifest, files | {"vocabulary.json": b"{}"})
    opened = open_bundle(tmp_path / "b", allow_unsigned=True)
    assert opened.vocabulary(entry) == b"{}"
    with pytest.raises(LimitExceededError, match=r"'vocabulary\.json' is 2 bytes, at most 1"):
        open_bundle(tmp_path / "b", allow_unsigned=True, limits=Limits(max_vocabulary_bytes=1))
    (tmp_path / "b" / "vocabulary.json").write_bytes(b"[]")
    with pytest.raises(DigestMismatchError, match=r"vocabulary\.json"):
        open_bundle(tmp_path / "b", allow_unsigned=True)
    nameless = msgspec.structs.replace(
        manifest, pre=(msgspec.structs.replace(step, vocabulary=None),)
    )
    with pytest.raises(DocumentError, match="names no vocabulary"):
        write_bundle(tmp_path / "c", nameless, files)


def test_variants_may_share_a_file_that_they_agree_on(tmp_path: Path) -> None:
    files = bundle_files()
    manifest = bundle_manifest(files)
    first = manifest.variants[0]
    shared = msgspec.structs.replace(manifest, variants=(first, bundle_variant("b", first.files)))
    write_bundle(tmp_path / "b", shared, files)
    assert len(open_bundle(tmp_path / "b", allow_unsigned=True).manifest.variants) == 2


@pytest.mark.parametrize(
    "limits",
    [
        Limits(max_files=2),
        Limits(max_file_bytes=6),
        Limits(max_total_bytes=500),
        Limits(max_manifest_bytes=500),
        Limits(max_evidence_bytes=100),
        Limits(max_golden_bytes=500),
    ],
)
def test_bundle_beyond_any_limit_is_refused(directory: Path, limits: Limits) -> None:
    with pytest.raises(LimitExceededError):
        open_bundle(directory, allow_unsigned=True, limits=limits)


@pytest.mark.parametrize("limits", [Limits(max_golden_arrays=1)])
def test_golden_samples_beyond_the_limit_are_refused(directory: Path, limits: Limits) -> None:
    bundle = open_bundle(directory, allow_unsigned=True, limits=limits)
    with pytest.raises(LimitExceededError, match="golden samples: 2 arrays"):
        bundle.golden()


NAMES = st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}", fullmatch=True).filter(
    lambda name: name not in {"manifest.json", "golden.npz", "evidence.json", "model.onnx"}
)
PLAIN = st.none() | st.booleans() | st.integers(0, 2**53) | st.text(max_size=5)
UNKNOWN = st.dictionaries(
    st.text(min_size=1, max_size=8).map(lambda key: "x-" + key),
    PLAIN | st.lists(PLAIN, max_size=3) | st.dictionaries(st.text(max_size=3), PLAIN, max_size=2),
    max_size=3,
)
STEPS = st.lists(
    st.builds(Scale, source=st.text(max_size=3), result=st.just("y"), factor=st.floats(-9, 9))
    | st.builds(Cast, source=st.just("y"), result=st.just("y"), dtype=st.text(max_size=5))
    | st.builds(
        Label,
        source=st.just("y"),
        result=st.just("z"),
        classes=st.lists(st.text(max_size=3), max_size=3).map(tuple),
    ),
    max_size=3,
).map(tuple)


@st.composite
def bundles(draw: st.DrawFn) -> tuple[Manifest, dict[str, bytes]]:
    more = draw(st.dictionaries(NAMES, st.binary(max_size=40), max_size=3))
    files = bundle_files(draw(st.binary(max_size=40))) | more
    manifest = msgspec.structs.replace(
        bundle_manifest(files),
        pre=draw(STEPS),
        provenance=Provenance(reproduce=draw(st.text(max_size=10)), unknown=draw(UNKNOWN)),
        unknown=draw(UNKNOWN),
    )
    return manifest, files


@settings(max_examples=40, deadline=None)
@given(bundles())
def test_opening_gives_back_what_was_written(bundle: tuple[Manifest, dict[str, bytes]]) -> None:
    manifest, files = bundle
    with TemporaryDirectory() as parent:
        written = write_bundle(Path(parent) / "b", manifest, files)
        opened = open_bundle(Path(parent) / "b", allow_unsigned=True)
        assert opened.manifest == manifest
        assert opened.digest == written
        assert {name: opened.file(name).read_bytes() for name in files} == files


def test_file_entry_is_the_same_from_bytes_and_from_a_path(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abc")
    entries: list[Any] = [file_entry("f", b"abc"), file_entry("f", tmp_path / "f")]
    assert entries[0] == entries[1]
    assert entries[0].length_bytes == 3
