# SPDX-License-Identifier: Apache-2.0
import datetime as dt
import json
from collections.abc import Callable
from typing import Any, get_args

import msgspec
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import fields

from insight_edge.documents import codec
from insight_edge.documents.codec import (
    MAX_DEPTH,
    MAX_DOCUMENT_BYTES,
    MAX_WIRE_BYTES,
    Document,
    Versioned,
    decode_json,
    decode_msgpack,
    decode_toml,
    decode_wire,
    encode_json,
    encode_msgpack,
    encode_wire,
    from_plain,
    to_plain,
)
from insight_edge.documents.evidence import Evidence, Interval
from insight_edge.documents.facts import Facts
from insight_edge.documents.host import AnyMessage, TakenWindow
from insight_edge.documents.manifest import Manifest
from insight_edge.documents.profile import HardwareProfile
from insight_edge.documents.report import Report
from insight_edge.documents.source import SourceDescription
from insight_edge.documents.tensors import TensorSpec
from insight_edge.documents.workload import Workload
from insight_edge.errors import DocumentError, LimitExceededError, UnsupportedVersionError
from tests.fakes.any_document import documents, plain, text

KINDS: tuple[type[Document], ...] = (
    Evidence,
    Facts,
    HardwareProfile,
    Manifest,
    Report,
    SourceDescription,
    Workload,
    *get_args(AnyMessage),
)

Coding = tuple[Callable[[Document], bytes], Callable[[type[Document], bytes], Document]]
CODINGS: tuple[Coding, ...] = (
    (encode_json, decode_json),
    (encode_wire, decode_wire),
    (encode_msgpack, decode_msgpack),
)
codings = pytest.mark.parametrize("coding", CODINGS, ids=["json", "wire", "msgpack"])
kinds = pytest.mark.parametrize("kind", KINDS, ids=[kind.__name__ for kind in KINDS])

FACTS = Facts(arch="a", cpu_model="m", isa=("avx2",), cores=2, memory_bytes=8, os="linux")


class Leaf(Document, frozen=True, kw_only=True):
    value: float = 0.0


class Left(Document, frozen=True, kw_only=True, tag="left", tag_field="side"):
    leaf: Leaf = Leaf()


class Right(Document, frozen=True, kw_only=True, tag="right", tag_field="side"):
    leaves: tuple[Leaf, ...] = ()


class Tree(Versioned, frozen=True, kw_only=True):
    """Every way in which one document can hold another."""

    one: Leaf = Leaf()
    perhaps: Leaf | None = None
    several: tuple[Leaf, ...] = ()
    named: dict[str, Leaf] = msgspec.field(default_factory=dict)
    tagged: Left | Right = Left()
    sides: tuple[Left | Right, ...] = ()
    groups: dict[str, tuple[Leaf, ...]] = msgspec.field(default_factory=dict)
    options: dict[str, Any] = msgspec.field(default_factory=dict)


KNOWN = {"side", *(f.name for kind in (Leaf, Left, Right, Tree) for f in fields(kind))} - {
    "unknown"
}

added_fields = st.dictionaries(
    st.one_of(st.just("unknown"), st.just("type"), text.filter(lambda name: name not in KNOWN)),
    plain,
    max_size=3,
)


def newer_tree(added: dict[str, Any]) -> dict[str, Any]:
    """Return a tree as a later release may write it, with these fields at every level."""
    leaf = {"value": 0.5} | added
    left, right = (
        {"side": "left", "leaf": leaf} | added,
        {"side": "right", "leaves": [leaf]} | added,
    )
    return {
        "format": 1,
        "one": leaf,
        "perhaps": leaf,
        "several": [leaf, leaf],
        "named": {"a": leaf},
        "tagged": right,
        "sides": [left, right],
        "groups": {"g": [leaf]},
        "options": {"o": added},
    } | added


# What is encoded is decoded.


@kinds
@settings(max_examples=25)
@given(data=st.data())
def test_decoding_gives_back_what_was_encoded(kind: type[Document], data: st.DataObject) -> None:
    document = data.draw(documents(kind))
    for encode, decode in CODINGS:
        encoded = encode(document)
        assert decode(kind, encoded) == document
        assert encode(decode(kind, encoded)) == encoded


@given(added=added_fields)
def test_unknown_fields_survive_at_every_level(added: dict[str, Any]) -> None:
    newer = newer_tree(added)
    tree = from_plain(Tree, newer)
    assert (tree.one.unknown, tree.sides[1].unknown, tree.unknown) == (added, added, added)
    assert to_plain(tree) == newer
    for encode, decode in CODINGS:
        assert to_plain(decode(Tree, encode(tree))) == newer


def test_field_called_unknown_is_kept_like_any_other() -> None:
    data = b'{"format":1,"unknown":{"unknown":[1]}}'
    tree = decode_json(Tree, data)
    assert tree.unknown == {"unknown": {"unknown": [1]}}
    assert decode_json(Tree, encode_json(tree)) == tree


def test_json_is_canonical() -> None:
    assert encode_json(Interval(value=1, low=0.5, high=2.0)) == (
        b'{"confidence":0.95,"high":2.0,"low":0.5,"value":1.0}'
    )


def test_json_of_the_same_values_is_the_same_whatever_their_order() -> None:
    shuffled = json.dumps(dict(reversed(to_plain(FACTS).items())), indent=2)
    assert encode_json(decode_json(Facts, shuffled.encode())) == encode_json(FACTS)


# What is malformed is refused, and nothing else is ever raised.


def refused(decode: Callable[..., Document], kind: type[Document], data: bytes) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        decode(kind, data)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("decode", [decode_json, decode_wire, decode_msgpack, decode_toml])
@pytest.mark.parametrize("kind", [Tree, Manifest, Report, HardwareProfile])
@given(data=st.binary(max_size=60))
def test_random_bytes_are_a_document_or_a_document_error(
    decode: Callable[..., Document], kind: type[Document], data: bytes
) -> None:
    try:
        decode(kind, data)
    except DocumentError:
        return


@codings
@given(at=st.integers(0), flips=st.integers(1, 255))
def test_damaged_bytes_are_a_document_or_a_document_error(
    coding: Coding, at: int, flips: int
) -> None:
    encode, decode = coding
    damaged = bytearray(encode(from_plain(Tree, newer_tree({"new": [1.5, "x", None]}))))
    damaged[at % len(damaged)] ^= flips
    try:
        decode(Tree, bytes(damaged))
    except DocumentError:
        return


@given(values=plain)
def test_other_values_are_a_document_or_a_document_error(values: Any) -> None:
    for name in ("one", "perhaps", "several", "named", "tagged", "sides", "groups"):
        try:
            document = from_plain(Tree, {name: values, "options": {"a": values}})
        except DocumentError:
            continue
        assert to_plain(document)["options"] == {"a": values}


@codings
def test_cut_off_at_any_byte_is_refused(coding: Coding) -> None:
    encode, decode = coding
    whole = encode(FACTS)
    for length in range(len(whole)):
        refused(decode, Facts, whole[:length])


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"", "not JSON"),
        (b"[1]", "expected an object, found list"),
        (b"NaN", "not JSON"),
        (b'{"one":{"value":NaN}}', "not JSON"),
        (b'{"one":{"value":1e999}}', "not JSON"),
        (b'{"one":{"value":"x"}}', r"got `str` - at `\$.one.value`"),
        (b'{"one":[]}', "got `array`"),
        (b'{"several":{"a":{}}}', "got `object`"),
        (b'{"tagged":{"side":"up"}}', "Invalid value 'up'"),
        (b'{"tagged":{}}', "missing required field `side`"),
        (b'{"format":"1"}', "got `str`"),
        (b'{"format":0}', "`int` >= 1"),
        (b'{"options":{"a":18446744073709551616}}', "64 bits"),
        (b'{"added":{"a":[-9223372036854775809]}}', "64 bits"),
        (b'{"a":"\xff"}', "not JSON"),
        (b'{"a":"\\ud800"}', "not JSON"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_malformed_json_is_refused_with_the_place(data: bytes, line: str) -> None:
    with pytest.raises(DocumentError, match=line):
        decode_json(Tree, data)


@pytest.mark.parametrize(
    "added",
    [
        {1: 2},
        {None: 2},
        {(1, 2): 2},
        {"a": {1: 2, "b": 3}},
        {"a": b"bytes"},
        {"a": [dt.datetime.now(dt.UTC)]},
        {"a": msgspec.msgpack.Ext(5, b"x")},
    ],
    ids=["integer key", "no key", "tuple key", "key deep down", "bytes", "time", "extension"],
)
def test_values_that_json_does_not_have_are_refused_in_msgpack(added: dict[Any, Any]) -> None:
    refused(decode_msgpack, Tree, msgspec.msgpack.encode(added))
    refused(decode_msgpack, Tree, msgspec.msgpack.encode({"options": added}))


def nested(depth: int) -> bytes:
    """Return an object with lists and objects around a value, `depth` of them in all."""
    return b'{"a":' * depth + b"1" + b"}" * depth


def test_nesting_is_limited_where_nobody_knows_the_fields_too() -> None:
    deepest = decode_json(Tree, nested(MAX_DEPTH))
    assert to_plain(decode_wire(Tree, encode_wire(deepest)))["a"] == deepest.unknown["a"]
    error = refused(decode_json, Tree, nested(MAX_DEPTH + 1))
    assert isinstance(error, LimitExceededError)


def test_documents_of_a_newer_format_are_refused_wherever_they_are() -> None:
    newer = to_plain(TakenWindow(report=None)) | {"report": {"format": 2, "new": "shape"}}
    for kind, values in ((Report, {"format": 2}), (TakenWindow, newer)):
        error = refused(decode_msgpack, kind, msgspec.msgpack.encode(values))
        assert isinstance(error, UnsupportedVersionError)
        assert str(error) == "Report: format 2 is newer than 1, the newest read here"
        assert error.hint == "update insight-edge on this machine"


def test_length_is_limited_before_anything_is_parsed() -> None:
    for decode in (decode_json, decode_msgpack, decode_toml):
        error = refused(decode, Tree, b" " * (MAX_DOCUMENT_BYTES + 1))
        assert isinstance(error, LimitExceededError)


def test_compression_bomb_is_refused() -> None:
    bomb = zstandard.ZstdCompressor(level=3).compress(bytes(200 * MAX_WIRE_BYTES))
    assert len(bomb) < MAX_WIRE_BYTES
    assert isinstance(refused(decode_wire, Tree, bomb), LimitExceededError)


def test_frame_that_wants_a_huge_window_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27, write_content_size=False)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    refused(decode_wire, Tree, packer.compress(b"\x80") + packer.flush())


@pytest.mark.parametrize("more", [b"x", encode_wire(Tree()), b"\0" * 100])
def test_what_follows_the_frame_is_refused(more: bytes) -> None:
    refused(decode_wire, Tree, encode_wire(Tree()) + more)


def test_frame_that_is_cut_short_is_refused() -> None:
    whole = encode_wire(Tree())
    for length in range(len(whole)):
        refused(decode_wire, Tree, whole[:length])


def test_nothing_is_written_that_would_not_be_read() -> None:
    wide = TensorSpec(name="x" * MAX_WIRE_BYTES, dtype="float32", shape=())
    with pytest.raises(LimitExceededError):
        encode_wire(wide)
    for value in (float("nan"), float("inf")):
        with pytest.raises(DocumentError, match=r"Interval.low: .* cannot be written as JSON"):
            encode_json(Interval(value=0.0, low=value, high=0.0))
    with pytest.raises(DocumentError, match="Expected `str`"):
        encode_json(TensorSpec(name=3, dtype="float32", shape=()))  # type: ignore[arg-type]  # wrong on purpose


def test_msgpack_keeps_numbers_that_are_not_finite() -> None:
    endless = Interval(value=0.0, low=float("-inf"), high=float("inf"))
    assert decode_wire(Interval, encode_wire(endless)) == endless


@kinds
@given(st.data())
@settings(max_examples=20)
def test_what_is_read_at_once_is_what_is_read_with_care(
    kind: type[Document], data: st.DataObject
) -> None:
    found = to_plain(data.draw(documents(kind)))
    inner = data.draw(st.sampled_from(_objects(found)))
    inner |= data.draw(st.dictionaries(st.sampled_from(["unknown", "type", "x"]), plain))
    at_once = codec._at_once(kind, found)
    if at_once is not None:
        assert at_once == msgspec.convert(codec._gather(kind, found), kind)
        assert all(not value.unknown for value, _ in codec._walk(at_once, ""))


@kinds
@given(st.data())
@settings(max_examples=5)
def test_a_document_of_this_release_is_read_at_once(
    kind: type[Document], data: st.DataObject
) -> None:
    document = data.draw(documents(kind))
    assert codec._at_once(kind, to_plain(document)) == document


def _objects(value: Any) -> list[dict[str, Any]]:
    """Return the objects in plain values, the outermost first."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    own = [value] if isinstance(value, dict) else []
    return own + [found for item in inner for found in _objects(item)]
