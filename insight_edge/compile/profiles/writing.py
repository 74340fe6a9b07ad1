# SPDX-License-Identifier: Apache-2.0
"""Write a hardware profile as the TOML text that people edit.

The standard library reads TOML and does not write it. This writes what the
schema of a profile holds (strings, numbers, lists of them, figures, tables)
and is no general writer.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from insight_edge.documents.codec import Document
from insight_edge.documents.profile import Figure, HardwareProfile

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def write_profile(profile: HardwareProfile) -> str:
    """Return the TOML text of a profile, which `read_profile` reads back as the same.

    What is at its default is left out, and so are fields that this release does not know:
    in a file that people edit an unknown key is an error.
    """
    return "\n".join(_table((), profile)) + "\n"


def _table(path: tuple[str, ...], value: Document | Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of one TOML table: its own keys first, then the tables inside it."""
    nested = []
    for key, item in _entries(value):
        if _is_inline(item):
            yield f"{_key(key)} = {_inline(item)}"
        else:
            nested.append((key, item))
    for key, item in nested:
        inside = (*path, _key(key))
        opened, closed = ("[[", "]]") if isinstance(item, tuple) else ("[", "]")
        for table in item if isinstance(item, tuple) else (item,):
            if isinstance(item, tuple) or _needs_header(table):
                yield ""
                yield opened + ".".join(inside) + closed
            yield from _table(inside, table)


def _needs_header(table: Document | Mapping[str, Any]) -> bool:
    """Return whether the headers of the tables inside do not already imply this one."""
    inside = [item for _, item in _entries(table)]
    return not inside or any(_is_inline(item) for item in inside)


def _entries(value: Document | Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from value.items()
        return
    for field in msgspec.structs.fields(value):
        item = getattr(value, field.name)
        # A file always says its format, so that it can be told from one of a later release.
        if field.name == "format" or (field.name != "unknown" and item != _default(field)):
            yield field.encode_name, item


def _default(field: msgspec.structs.FieldInfo) -> Any:
    factory = field.default_factory
    return field.default if factory is msgspec.NODEFAULT else factory()


def _is_inline(value: Any) -> bool:
    if isinstance(value, tuple):
        return not any(isinstance(item, Document) for item in value)
    return isinstance(value, (str, int, float, Figure))


def _inline(value: Any) -> str:
    if isinstance(value, Figure):
        return f"{{ value = {_inline(value.value)}, source = {_inline(value.source)} }}"
    if isinstance(value, tuple):
        return "[" + ", ".join(_inline(item) for item in value) + "]"
    return _string(value) if isinstance(value, str) else repr(value)


def _string(text: str) -> str:
    """Return a TOML basic string; its escapes are those of JSON, but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _string(key)
