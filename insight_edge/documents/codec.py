# SPDX-License-Identifier: Apache-2.0
"""Turn documents into bytes and back, keeping what this release does not know.

A document is a frozen msgspec struct that derives from `Document`. Fields that
a newer release added are kept in `unknown` and written out again unchanged
(rule F2 in docs/formats/documents.md), so an old agent passes on what it does
not understand. Three encodings: JSON (sorted keys, so equal documents have
equal bytes), TOML (read only, written by people) and msgpack + zstd (wire).

This module does not know any particular document, and it reads no file.
"""

import hashlib
import math
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from types import UnionType
from typing import Any, ClassVar, TypeVar, Union, get_args, get_origin

import msgspec
import zstandard

from insight_edge.errors import DocumentError, LimitExceededError, UnsupportedVersionError

MAX_DOCUMENT_BYTES = 16 * 1024 * 1024
"""No document is read beyond this many bytes, packed or unpacked."""

MAX_DEPTH = 32
"""No document is nested deeper than this."""


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A frozen value that survives a round trip through a release that knows less of it.

    Attributes:
        unknown: fields that this release does not know, as plain values, written back as found.
    """

    unknown: dict[str, Any] = msgspec.field(default_factory=dict)


class Versioned(Document, frozen=True, kw_only=True):
    """A document that stands alone on disk or on the wire and says its format version."""

    FORMAT: ClassVar[int] = 1

    format: int = 1


D = TypeVar("D", bound=Document)


def encode_json(document: Document) -> bytes:
    """Return the canonical JSON of a document: sorted keys, no white space, UTF-8.

    Raises:
        DocumentError: a number in it is NaN or infinite, which JSON cannot say.
    """
    plain = to_plain(document)
    _refuse_non_finite(plain, type(document).__name__)
    return msgspec.json.encode(plain, order="sorted")


def decode_json(kind: type[D], data: bytes) -> D:
    """Return the document of type `kind` that `data` encodes.

    Raises:
        LimitExceededError: more than `MAX_DOCUMENT_BYTES`, or nested beyond `MAX_DEPTH`.
        UnsupportedVersionError: its format is newer than this release reads.
        DocumentError: anything else that is wrong with it.
    """
    _refuse_length(kind, len(data))
    try:
        plain = msgspec.json.decode(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise DocumentError(f"{kind.__name__}: not JSON: {error}") from error
    return from_plain(kind, plain)


def decode_toml(kind: type[D], data: bytes) -> D:
    """Return the document of type `kind` in a TOML file written by a person.

    Unlike the other encodings, an unknown key is an error here: a person meant
    something by it.

    Raises:
        LimitExceededError: more than `MAX_DOCUMENT_BYTES`.
        DocumentError: not TOML, a key is unknown (with the nearest name), or a value is wrong.
    """
    _refuse_length(kind, len(data))
    try:
        plain = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DocumentError(f"{kind.__name__}: not TOML: {error}") from error
    document = from_plain(kind, plain)
    refuse_unknown(document)
    return document


def encode_wire(document: Document) -> bytes:
    """Return a document as zstd-compressed msgpack, the encoding used over MQTT."""
    packed = msgspec.msgpack.encode(to_plain(document), order="sorted")
    return zstandard.ZstdCompressor(level=9).compress(packed)


def decode_wire(kind: type[D], data: bytes) -> D:
    """Return the document of type `kind` that came over the wire.

    Raises:
        LimitExceededError: it unpacks to more than `MAX_DOCUMENT_BYTES`.
        UnsupportedVersionError: its format is newer than this release reads.
        DocumentError: anything else that is wrong with it.
    """
    _refuse_length(kind, len(data))
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
    _refuse_length(kind, len(data))
    try:
        plain = msgspec.msgpack.decode(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError, ValueError) as error:
        raise DocumentError(f"{kind.__name__}: not msgpack: {error}") from error
    return from_plain(kind, plain)


def digest(data: bytes) -> str:
    """Return the content digest used everywhere: `sha256:` and 64 hexadecimal digits."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def to_plain(value: Any) -> Any:
    """Return dicts, lists and scalars for a document, with its unknown fields merged back."""
    if isinstance(value, msgspec.Struct):
        plain = {
            field.encode_name: to_plain(getattr(value, field.name))
            for field in msgspec.structs.fields(value)
            if field.name != "unknown"
        }
        tag = value.__struct_config__.tag
        if tag is not None:
            plain[value.__struct_config__.tag_field or "type"] = tag
        return plain | getattr(value, "unknown", {})
    if isinstance(value, Mapping):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    return msgspec.to_builtins(value, builtin_types=(bytes,))


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
    _refuse_newer(kind, plain)
    try:
        return msgspec.convert(_gather(kind, plain, 0), kind, builtin_types=(bytes,))
    except (msgspec.ValidationError, OverflowError) as error:
        raise DocumentError(f"{name}: {error}") from error


def refuse_unknown(document: Document) -> None:
    """Raise for the first unknown field anywhere in a document a person wrote.

    Raises:
        DocumentError: names the key, and the nearest known one as a hint.
    """
    for value, path in _walk(document, ""):
        for key in value.unknown:
            known = [f.encode_name for f in msgspec.structs.fields(value) if f.name != "unknown"]
            near = get_close_matches(key, known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(known)}"
            raise DocumentError(f"unknown key '{path}{key}'", hint=hint)


def _walk(value: Any, path: str) -> Any:
    """Yield every document inside `value` with the dotted path to it."""
    if isinstance(value, Document):
        yield value, path
        for field in msgspec.structs.fields(value):
            if field.name != "unknown":
                yield from _walk(getattr(value, field.name), f"{path}{field.encode_name}.")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _walk(item, f"{path}{key}.")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _walk(item, f"{path}{index}.")


def _gather(kind: Any, plain: Any, depth: int) -> Any:
    """Move the keys that `kind` does not know under `unknown`, all the way down."""
    if depth > MAX_DEPTH:
        raise LimitExceededError(f"nested deeper than {MAX_DEPTH}")
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in {Union, UnionType}:
        return _gather_union(arguments, plain, depth)
    struct = origin or kind
    if isinstance(struct, type) and issubclass(struct, Document):
        return _gather_struct(kind, plain, depth)
    if isinstance(plain, dict) and len(arguments) == 2:
        return {key: _gather(arguments[1], item, depth + 1) for key, item in plain.items()}
    if isinstance(plain, list) and arguments:
        return [_gather(arguments[0], item, depth + 1) for item in plain]
    return plain


def _gather_union(kinds: tuple[Any, ...], plain: Any, depth: int) -> Any:
    structs = [k for k in kinds if isinstance(k, type) and issubclass(k, Document)]
    if isinstance(plain, dict) and structs:
        for struct in structs:
            config = struct.__struct_config__
            if config.tag is None or plain.get(config.tag_field or "type") == config.tag:
                return _gather_struct(struct, plain, depth)
        return plain
    others = [k for k in kinds if k is not type(None) and k not in structs]
    return _gather(others[0], plain, depth) if others and isinstance(plain, (dict, list)) else plain


def _gather_struct(kind: Any, plain: Any, depth: int) -> Any:
    if not isinstance(plain, dict):
        return plain
    info = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    info.pop("unknown", None)
    config = (get_origin(kind) or kind).__struct_config__
    tag_field = config.tag_field if config.tag is not None else None
    known: dict[str, Any] = {}
    unknown: dict[str, Any] = {}
    for key, item in plain.items():
        if key in info:
            known[key] = _gather(info[key].type, item, depth + 1)
        elif key == tag_field:
            known[key] = item
        else:
            unknown[key] = item
    return known | {"unknown": unknown} if unknown else known


def _refuse_length(kind: type[Document], length_bytes: int) -> None:
    if length_bytes > MAX_DOCUMENT_BYTES:
        raise LimitExceededError(
            f"{kind.__name__}: {length_bytes} bytes, at most {MAX_DOCUMENT_BYTES} are read"
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
    try:
        reader = zstandard.ZstdDecompressor().stream_reader(data)
        plain = reader.read(MAX_DOCUMENT_BYTES + 1)
    except zstandard.ZstdError as error:
        raise DocumentError(f"{kind.__name__}: not zstd: {error}") from error
    _refuse_length(kind, len(plain))
    return plain


__all__ = [
    "MAX_DEPTH",
    "MAX_DOCUMENT_BYTES",
    "Document",
    "Versioned",
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
