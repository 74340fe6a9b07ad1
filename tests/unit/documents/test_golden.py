# SPDX-License-Identifier: Apache-2.0
"""What any release has written is still read, and written again as it was."""

import importlib
import pkgutil
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
import zstandard

from insight_edge import documents
from insight_edge.documents.codec import (
    Document,
    Versioned,
    decode_json,
    decode_msgpack,
    decode_wire,
    encode_json,
    encode_msgpack,
    encode_wire,
    refuse_unknown,
)
from insight_edge.documents.frames import message_from_payload
from insight_edge.documents.host import AnyMessage
from insight_edge.documents.manifest import Manifest
from insight_edge.documents.report import Report
from insight_edge.documents.source import SourceDescription
from insight_edge.documents.statistics import (
    document_from_summary,
    grid_from_document,
    latency_from_document,
    summary_from_document,
)
from tests.golden.record import WIRE, kinds

RECORDED = sorted((Path(__file__).parents[2] / "golden").glob("v*/*.*"))

ON_THE_WIRE = {type(document) for document in WIRE}

recorded = pytest.mark.parametrize(
    "path", RECORDED, ids=[f"{p.parent.name}-{p.name}" for p in RECORDED]
)


def decoded(path: Path) -> Document:
    kind, data = kinds()[path.stem], path.read_bytes()
    if path.suffix == ".json":
        return decode_json(kind, data)
    return decode_wire(kind, data) if kind in ON_THE_WIRE else decode_msgpack(kind, data)


def encoded(document: Document) -> bytes:
    if type(document) in get_args(AnyMessage):
        return encode_msgpack(document)
    return encode_wire(document) if type(document) in ON_THE_WIRE else encode_json(document)


def values(kind: type[Document], data: bytes) -> Any:
    """Return the plain values in an encoding, without any document's help."""
    if data[:1] == b"{":
        return msgspec.json.decode(data)
    unpacked = zstandard.decompress(data) if kind in ON_THE_WIRE else data
    return msgspec.msgpack.decode(unpacked)


def assert_holds(found: Any, wanted: Any) -> None:
    """Check that everything wanted is there; a later release may have added fields."""
    if isinstance(wanted, dict):
        for key, item in wanted.items():
            assert_holds(found[key], item)
    elif isinstance(wanted, list):
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            assert_holds(one, other)
    else:
        assert (type(found), found) == (type(wanted), wanted)


@recorded
def test_recorded_document_is_read_in_full(path: Path) -> None:
    refuse_unknown(decoded(path))


@recorded
def test_recorded_document_is_written_again_as_it_was(path: Path) -> None:
    document = decoded(path)
    kind = type(document)
    assert_holds(values(kind, encoded(document)), values(kind, path.read_bytes()))


@pytest.mark.parametrize("kind", get_args(AnyMessage))
def test_recorded_message_is_found_by_its_tag(kind: type[Document]) -> None:
    [path] = [path for path in RECORDED if path.stem == kind.__name__]
    assert type(message_from_payload(path.read_bytes())) is kind


def test_recorded_statistics_are_over_the_grid_they_name() -> None:
    for path in RECORDED:
        document = decoded(path)
        if isinstance(document, (Manifest, SourceDescription)) and document.reference is not None:
            grid = grid_from_document(document.reference.grid)
            summary = summary_from_document(document.reference.summary, grid)
            assert document_from_summary(summary) == document.reference.summary
        if isinstance(document, Report):
            assert latency_from_document(document.latency).count == document.latency.count


def test_every_document_that_stands_alone_is_recorded() -> None:
    for module in pkgutil.iter_modules(documents.__path__, f"{documents.__name__}."):
        importlib.import_module(module.name)
    alone = {
        kind.__name__
        for kind in Versioned.__subclasses__()
        if kind.__module__.startswith(documents.__name__)
    }
    alone |= {kind.__name__ for kind in get_args(AnyMessage)}
    assert {path.stem for path in RECORDED} == alone == kinds().keys()


def test_recorded_document_fills_in_every_field() -> None:
    for path in RECORDED:
        document = decoded(path)
        for field in msgspec.structs.fields(document):
            default = None if field.default is msgspec.NODEFAULT else field.default
            if field.name not in {"unknown", "format", "protocol", "scenario"}:
                assert getattr(document, field.name) != default, f"{path.name}: {field.name}"
