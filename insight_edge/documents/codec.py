# SPDX-License-Identifier: Apache-2.0
"""Turn documents into bytes and back, keeping what this release does not know.

A document is a frozen msgspec struct that derives from `Document`. Fields that
a newer release added are kept in `unknown` and written out again unchanged
(rule F2 in docs/formats/documents.md), so an old agent passes on what it does
not understand. Three encodings: JSON (canonical, so the same values have the same
bytes), TOML (read only, written by people) and msgpack (+ zstd on the wire).

This module does not know any particular document, and it reads no file.
"""

import itertools
import math
import re
from collections.abc import Mapping
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, TypeVar, Union, get_args, get_origin

import msgspec

from insight_edge.errors import DocumentError, LimitExceededError, UnsupportedVersionError
from insight_edge.stats.sha256 import hexdigest

MAX_DOCUMENT_BYTES = 16 * 1024 * 1024
"""No document is read beyond this many bytes, packed or unpacked."""

MAX_WIRE_BYTES = 1024 * 1024
"""Nothing from the wire unpacks to more: a byte of msgpack can take 64 bytes of memory."""

MAX_PAYLOAD_BYTES = MAX_WIRE_BYTES + 16 * 1024
"""What packing makes of a document of `MAX_WIRE_BYTES` that cannot be packed, and no more."""

MAX_DEPTH = 32
"""No document has more lists and objects around a value."""

_WINDOW_BYTES = 8 * 1024 * 1024
"""What RFC 8878 asks every zstd decoder to have room for."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_SCALARS = frozenset({NoneType, bool, int, float, str})
_LEAST_INTEGER, _LARGEST_INTEGER = -(2**63), 2**64 - 1


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A frozen value that survives a round trip through a release that knows less of it.

    Attributes:
        unknown: fields that this release does not know, as plain values, written back as found.
    """

    unknown: dict[str, Any] = msgspec.field(default_factory=dict)


class Versioned(Document, frozen=True, kw_only=True):
    """A document that stands alone on disk or on the wire and says its format version."""

    FORMAT: ClassVar[int] = 1

    format: Annotated[int, msgspec.Meta(ge=1)] = 1


D = TypeVar("D", bound=Document)


def encode_json(document: Document) -> bytes:
    """Return the canonical JSON of a document: sorted keys, no white space, UTF-8.

    It is read back before it is written, so that `1` in a field of floats becomes `1.0` and
    nothing is written that this release would refuse.

    Raises:
        DocumentError: `decode_json` would refuse it, or a number in it is NaN or infinite.
    """
    kind = type(document)
    plain = to_plain(from_plain(kind, to_plain(document)))
    _refuse_non_finite(plain, kind.__name__)
    data = msgspec.json.encode(plain, order="sorted")
    _refuse_length(kind, len(data), MAX_DOCUMENT_BYTES)
    return data


def decode_json(kind: type[D], data: bytes) -> D:
    """Return the document of type `kind` that `data` encodes.

    Raises:
        LimitExceededError: more than `MAX_DOCUMENT_BYTES`, or nested beyond `MAX_DEPTH`.
        UnsupportedVersionError: its format is newer than this release reads.
        DocumentError: anything else that is wrong with it.
    """
    _refuse_length(kind, len(data), MAX_DOCUMENT_BYTES)
    try:
        plain = msgspec.json.decode(data)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise DocumentError(f"{kind.__name__}: not JSON: {error}") from error
    return from_plain(kind, plain)


def decode_toml(kind: type[D], data: bytes) -> D:
    """Return the document of type `kind` in a TOML file written by a person.

    Unlike the other encodings, an unknown key is an error here: a person meant
    something by it.

    Raises:
        LimitExceededError: more than `MAX_DOCUMENT_BYTES`, or nested beyond `MAX_DEPTH`.
        UnsupportedVersionError: its format is newer than this release reads.
        DocumentError: not TOML, a key is unknown (with the nearest name), or a value is wrong.
    """
    import tomllib  # devices read no TOML

    _refuse_length(kind, len(data), MAX_DOCUMENT_BYTES)
    try:
        plain = tomllib.loads(data.decode())
    except (RecursionError, ValueError) as error:
        raise DocumentError(f"{kind.__name__}: not TOML: {error}") from error
    try:
        document = from_plain(kind, plain)
    except DocumentError:
        # A misspelled required key is a missing field too; the misspelling helps more.
        _refuse_misspelled(kind, plain, "")
        raise
    refuse_unknown(document)
    return document


def encode_wire(document: Document) -> bytes:
    """Return a document as zstd-compressed msgpack, the encoding used over MQTT.

    Raises:
        LimitExceededError: it unpacks to more than `MAX_WIRE_BYTES`.
    """
    import zstandard  # what has no agent sends nothing

    packed = encode_msgpack(document)
    _refuse_length(type(document), len(packed), MAX_WIRE_BYTES)
    return zstandard.ZstdCompressor(level=9).compress(packed)


def decode_wire(kind: type[D], data: bytes) -> D:
    """Return the document of type `kind` that came over the wire.

    Raises:
        LimitExceededError: it unpacks to more than `MAX_WIRE_BYTES`, or is nested beyond
            `MAX_DEPTH`.
        UnsupportedVersionError: its format is newer than this release reads.
        DocumentError: anything else that is wrong with it.
    """
    return decode_msgpack(kind, _decompress(kind, data))


def encode_msgpack(document: Document) -> bytes:
    """Return a document as plain msgpack, the encoding of the host protocol."""
    return msgspec.msgpack.encode(to_plain(document), order="sorted")


def decode_msgpack(kind: type[D], data: bytes) -> D:
    """Return the document of type `kind` in plain msgpack.

    Raises:
        LimitExceededError: more than `MAX_DOCUMENT_BYTES`, or nested beyond `MAX_DEPTH`.
        UnsupportedVersionError: its format is newer than this release reads.
        DocumentError: anything else that is wrong with it.
    """
    _refuse_length(kind, len(data), MAX_DOCUMENT_BYTES)
    try:
        plain = msgspec.msgpack.decode(data)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise DocumentError(f"{kind.__name__}: not msgpack: {error}") from error
    return from_plain(kind, plain)


def digest(data: bytes) -> str:
    """Return the content digest used everywhere: `sha256:` and 64 hexadecimal digits."""
    return "sha256:" + hexdigest(data)


def check_digest(what: str, text: str) -> str:
    """Return a content digest if it is one.

    Raises:
        DocumentError: it is not.
    """
    if _DIGEST.fullmatch(text) is None:
        raise DocumentError(f"{what}: {text[:80]!r} is not a digest")
    return text


def to_plain(value: Any) -> Any:
    """Return dicts, lists and scalars for a document, with its unknown fields merged back."""
    if isinstance(value, msgspec.Struct):
        plain = {
            key: to_plain(getattr(value, name))
            for key, name in _attributes(type(value)).items()
            if name != "unknown"
        }
        tag = value.__struct_config__.tag
        if tag is not None:
            plain[value.__struct_config__.tag_field or "type"] = tag
        return plain | getattr(value, "unknown", {})
    if isinstance(value, Mapping):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [item if type(item) in _SCALARS else to_plain(item) for item in value]
    return value if type(value) in _SCALARS else msgspec.to_builtins(value)


@cache
def _fields(kind: type) -> tuple[msgspec.structs.FieldInfo, ...]:
    """Return the fields of a kind of document; looking them up takes longer than all else."""
    return msgspec.structs.fields(kind)


def from_plain(kind: type[D], plain: Any) -> D:
    """Return the document of type `kind` held in plain dicts, lists and scalars.

    Raises:
        LimitExceededError: nested beyond `MAX_DEPTH`.
        UnsupportedVersionError: its format is newer than this release reads.
        DocumentError: a field is missing or has the wrong type; the path to it is named.
    """
    name = kind.__name__
    if not isinstance(plain, dict):
        raise DocumentError(f"{name}: expected an object, found {type(plain).__name__}")
    document = _at_once(kind, plain)
    if document is None:
        try:
            document = msgspec.convert(_gather(kind, plain), kind)
        except (msgspec.ValidationError, OverflowError) as error:
            raise DocumentError(f"{name}: {error}") from error
    _refuse_foreign(name, plain, 1)
    return document


def _at_once(kind: type[D], plain: dict[str, Any]) -> D | None:
    """Return the document where this release knows all of it; None where that is to be seen.

    Asking msgspec for the types of all fields takes longer than all of the reading.
    """
    try:
        document = msgspec.convert(plain, kind)
    except (msgspec.ValidationError, OverflowError):
        return None
    return document if _is_whole(document, plain, 1) else None


def _is_whole(value: Any, plain: Any, depth: int) -> bool:
    """Return whether a value holds all that there is of it, and is of a format read here."""
    if type(plain) in _SCALARS:
        return True
    if depth > MAX_DEPTH:
        return False
    if isinstance(value, Document) and isinstance(plain, dict):
        newer = isinstance(value, Versioned) and value.format > value.FORMAT
        return not newer and all(_holds(value, key, item, depth + 1) for key, item in plain.items())
    if isinstance(plain, dict) and isinstance(value, dict):
        return all(_is_whole(value.get(key), item, depth + 1) for key, item in plain.items())
    if isinstance(plain, list) and isinstance(value, (list, tuple)):
        return all(map(_is_whole, value, plain, itertools.repeat(depth + 1)))
    return False


def _holds(value: Document, key: str, item: Any, depth: int) -> bool:
    name = _attributes(type(value)).get(key, "unknown")
    if name == "unknown":
        config = value.__struct_config__
        return config.tag is not None and key == (config.tag_field or "type")
    return _is_whole(getattr(value, name), item, depth)


@cache
def _attributes(kind: type[msgspec.Struct]) -> dict[str, str]:
    """Return by key of a kind of struct the name of the attribute that it is held in."""
    return dict(zip(kind.__struct_encode_fields__, kind.__struct_fields__, strict=True))


def refuse_unknown(document: Document) -> None:
    """Raise for the first unknown field anywhere in a document a person wrote.

    Raises:
        DocumentError: names the key, and the nearest known one as a hint.
    """
    for value, path in _walk(document, ""):
        for key in value.unknown:
            raise _unknown_key(type(value), f"{path}{key}")


def _refuse_misspelled(kind: Any, plain: Any, path: str) -> None:
    """Raise for the first key that the documents down the path of single types do not know."""
    struct = get_origin(kind) or kind
    if isinstance(kind, UnionType):
        struct = kind = next((k for k in get_args(kind) if k is not NoneType), kind)
    if not (isinstance(plain, dict) and isinstance(struct, type) and issubclass(struct, Document)):
        return
    info = {field.encode_name: field for field in _fields(kind)}
    for key, item in plain.items():
        if key not in info:
            raise _unknown_key(struct, f"{path}{key}")
        _refuse_misspelled(info[key].type, item, f"{path}{key}.")


def _unknown_key(kind: type[Document], path: str) -> DocumentError:
    known = [f.encode_name for f in _fields(kind) if f.name != "unknown"]
    from difflib import get_close_matches  # as above

    near = get_close_matches(path.rpartition(".")[2], known, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(known)}"
    return DocumentError(f"unknown key '{path}'", hint=hint)


def _walk(value: Any, path: str) -> Any:
    """Yield every document inside `value` with the dotted path to it."""
    if isinstance(value, Document):
        yield value, path
        for field in _fields(type(value)):
            if field.name != "unknown":
                yield from _walk(getattr(value, field.name), f"{path}{field.encode_name}.")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _walk(item, f"{path}{key}.")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _walk(item, f"{path}{index}.")


def _refuse_foreign(name: str, plain: Any, depth: int) -> None:
    """Refuse what some encoding could not write back: dates, bytes, keys that are not text.

    Those are values of msgpack or TOML alone, as are integers beyond 64 bits of JSON.
    """
    if depth > MAX_DEPTH:
        raise LimitExceededError(f"{name}: nested deeper than {MAX_DEPTH}")
    if isinstance(plain, dict) and not all(type(key) is str for key in plain):
        raise DocumentError(f"{name}: a key that is not text")
    for item in plain.values() if isinstance(plain, dict) else plain:
        kind = type(item)
        if kind is dict or kind is list:
            _refuse_foreign(name, item, depth + 1)
        elif kind not in _SCALARS:
            raise DocumentError(f"{name}: a {kind.__name__} is none of the values of a document")
        elif kind is int and not _LEAST_INTEGER <= item <= _LARGEST_INTEGER:
            raise DocumentError(f"{name}: an integer is longer than 64 bits")


def _gather(kind: Any, plain: Any) -> Any:
    """Move the keys that `kind` does not know under `unknown`, all the way down."""
    if type(plain) in _SCALARS:
        return plain
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in {Union, UnionType}:
        return _gather_union(arguments, plain)
    struct = origin or kind
    if isinstance(struct, type) and issubclass(struct, Document):
        return _gather_struct(kind, plain)
    if isinstance(plain, dict) and len(arguments) == 2:
        return {key: _gather(arguments[1], item) for key, item in plain.items()}
    if isinstance(plain, list) and arguments:
        return [x if type(x) in _SCALARS else _gather(arguments[0], x) for x in plain]
    return plain


def _gather_union(kinds: tuple[Any, ...], plain: Any) -> Any:
    structs = [k for k in kinds if isinstance(k, type) and issubclass(k, Document)]
    if isinstance(plain, dict) and structs:
        for struct in structs:
            config = struct.__struct_config__
            if config.tag is None or plain.get(config.tag_field or "type") == config.tag:
                return _gather_struct(struct, plain)
        return plain
    others = [k for k in kinds if k is not NoneType and k not in structs]
    return _gather(others[0], plain) if others else plain


def _gather_struct(kind: Any, plain: Any) -> Any:
    if not isinstance(plain, dict):
        return plain
    struct = get_origin(kind) or kind
    _refuse_newer(struct, plain)
    info = {field.encode_name: field for field in _fields(kind)}
    info.pop("unknown", None)
    config = struct.__struct_config__
    tag_field = None if config.tag is None else config.tag_field
    known: dict[str, Any] = {}
    unknown: dict[str, Any] = {}
    for key, item in plain.items():
        if key in info:
            known[key] = _gather(info[key].type, item)
        elif key == tag_field:
            known[key] = item
        else:
            unknown[key] = item
    return known | {"unknown": unknown} if unknown else known


def _refuse_length(kind: type[Document], length_bytes: int, most_bytes: int) -> None:
    if length_bytes > most_bytes:
        raise LimitExceededError(
            f"{kind.__name__}: {length_bytes} bytes, at most {most_bytes} are read"
        )


def _refuse_newer(kind: type[Document], plain: dict[str, Any]) -> None:
    if not issubclass(kind, Versioned):
        return
    found = plain.get("format", 1)
    if isinstance(found, int) and found > kind.FORMAT:
        raise UnsupportedVersionError(
            f"{kind.__name__}: format {found} is newer than {kind.FORMAT}, the newest read here",
            hint="update insight-edge on this machine",
        )


def _refuse_non_finite(plain: Any, path: str) -> None:
    if isinstance(plain, float) and not math.isfinite(plain):
        raise DocumentError(f"{path}: {plain} cannot be written as JSON")
    if isinstance(plain, dict):
        for key, item in plain.items():
            _refuse_non_finite(item, f"{path}.{key}")
    elif isinstance(plain, list):
        for index, item in enumerate(plain):
            _refuse_non_finite(item, f"{path}.{index}")


def _decompress(kind: type[Document], data: bytes) -> bytes:
    import zstandard  # as above

    try:
        unpacking = zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES)
        # Whatever follows the frame is read as well, to be refused here or as a second value.
        plain = unpacking.stream_reader(data, read_across_frames=True).read(MAX_WIRE_BYTES + 1)
    except zstandard.ZstdError as error:
        raise DocumentError(f"{kind.__name__}: not zstd: {error}") from error
    _refuse_length(kind, len(plain), MAX_WIRE_BYTES)
    return plain


__all__ = [
    "MAX_DEPTH",
    "MAX_DOCUMENT_BYTES",
    "MAX_PAYLOAD_BYTES",
    "MAX_WIRE_BYTES",
    "Document",
    "Versioned",
    "check_digest",
    "decode_json",
    "decode_msgpack",
    "decode_toml",
    "decode_wire",
    "digest",
    "encode_json",
    "encode_msgpack",
    "encode_wire",
    "from_plain",
    "refuse_unknown",
    "to_plain",
]
