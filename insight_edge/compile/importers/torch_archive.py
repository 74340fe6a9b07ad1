# SPDX-License-Identifier: Apache-2.0
"""The file of a PyTorch program, looked at before torch reads it; the program is for others.

What torch would unpickle must be plain tensors. That keeps ordinary pickled
code out; it is no sandbox: torch's own reader of programs is not one.
"""

import json
import math
import zipfile
from fnmatch import fnmatch
from io import BytesIO
from typing import Any

from insight_edge.compile.graph.check import MAX_MODEL_BYTES
from insight_edge.errors import ModelError

HINT = "save it with torch.export.save(torch.export.export(model, (example,)), 'model.pt2')"


def check_archive(data: bytes, *, trust_pickle: bool) -> None:
    """Refuse what torch would read without a word: pickled code, and weights that are not there.

    Raises:
        ModelError: the file has either, is damaged, or unpacks to more than is ever read.
    """
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            if sum(member.file_size for member in archive.infolist()) > MAX_MODEL_BYTES:
                raise ModelError(f"unpacks to more than {MAX_MODEL_BYTES} bytes")
            for name in archive.namelist():
                _refuse_absence(name, archive)
                if not trust_pickle:
                    _refuse_code(name, archive)
    except zipfile.BadZipFile as error:
        raise ModelError("not a saved torch program", hint=HINT) from error


def with_plain_containers(data: bytes) -> bytes:
    """Return a checked file whose program answers with containers that torch itself knows.

    Models of `transformers`, and all that answer with a dataclass, name a class that torch finds
    only where its package was imported. Which tensors come in which order, and what they are
    called, is in the file all the same.
    """
    from torch.utils._pytree import SERIALIZED_TYPE_TO_PYTHON_TYPE

    known = frozenset(SERIALIZED_TYPE_TO_PYTHON_TYPE)
    with zipfile.ZipFile(BytesIO(data)) as archive:
        changed = {
            name: plain
            for name in archive.namelist()
            if fnmatch(name, "*/models/*.json")
            and (plain := _plain_program(archive.read(name), known)) is not None
        }
        return _rewritten(archive, changed) if changed else data


def _rewritten(archive: zipfile.ZipFile, changed: dict[str, bytes]) -> bytes:
    written = BytesIO()
    with zipfile.ZipFile(written, "w") as copy:
        for member in archive.infolist():
            copy.writestr(member, changed.get(member.filename) or archive.read(member))
    return written.getvalue()


def _plain_program(text: bytes, known: frozenset[str]) -> bytes | None:
    """Return a program that names no class unknown to torch, or None where it names none."""
    program = json.loads(text)
    found = False
    for entry in program.get("graph_module", {}).get("module_call_graph", ()):
        signature = entry.get("signature") or {}
        for kind in ("in_spec", "out_spec"):
            protocol, tree = json.loads(signature.get(kind) or "[1, null]")
            if tree is not None and _make_plain(tree, known):
                signature[kind] = json.dumps([protocol, tree])
                found = True
    return json.dumps(program).encode() if found else None


def _make_plain(tree: dict[str, Any], known: frozenset[str]) -> bool:
    """Make a dict or a tuple of every container of an unknown class; return whether any was."""
    changed = [_make_plain(child, known) for child in tree["children_spec"]]
    if tree["type"] is None or tree["type"] in known:
        return any(changed)
    names = _names(json.loads(tree["context"] or "null"))
    if len(names) == len(changed):
        tree.update(type="builtins.dict", context=json.dumps(names))
    else:
        tree.update(type="builtins.tuple", context="null")
    return True


def _names(context: Any) -> list[str]:
    """Return the names of a container's children: a list, or one with those that are None."""
    while isinstance(context, list) and context and isinstance(context[0], list):
        context = context[0]
    names = context if isinstance(context, list) else []
    return names if len(set(map(str, names))) == len(names) else []


def _refuse_absence(name: str, archive: zipfile.ZipFile) -> None:
    """Refuse a weight without bytes: torch takes it for one of zeros."""
    for payload in _payloads(name, archive):
        if payload["use_pickle"]:
            continue
        record = f"{name.rpartition('/')[0]}/{payload['path_name']}"
        elements = math.prod(size["as_int"] for size in payload["tensor_meta"]["sizes"])
        if elements and archive.getinfo(record).file_size == 0:
            raise ModelError(f"damaged: {record} is empty")


def _refuse_code(name: str, archive: zipfile.ZipFile) -> None:
    """Refuse a member that torch would unpickle, if that is not plain tensors."""
    import torch

    pickled = any(payload["use_pickle"] for payload in _payloads(name, archive))
    if fnmatch(name, "*/data/*/*.pt"):
        try:
            torch.load(BytesIO(archive.read(name)), weights_only=True)
        except Exception:  # noqa: BLE001 (whatever it is, it is not only tensors)
            pickled = True
    if pickled:
        raise ModelError(
            f"{name} holds pickled objects that are no tensors",
            hint="export plain tensors, or pass --trust-pickle if you made this file",
        )


def _payloads(name: str, archive: zipfile.ZipFile) -> list[dict[str, Any]]:
    """Return what a member says of others, if it is one of the two that do."""
    if not fnmatch(name, "*/data/*/*_config.json"):
        return []
    return list(json.loads(archive.read(name))["config"].values())
