# SPDX-License-Identifier: Apache-2.0
"""PyTorch programs saved by `torch.export.save`, exported to ONNX and compared with torch.

What torch would unpickle must be plain tensors. That keeps ordinary pickled
code out; it is no sandbox: torch's own reader of programs is not one.
"""

import json
import logging
import math
import warnings
import zipfile
from dataclasses import replace
from fnmatch import fnmatch
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.compile.check import MAX_MODEL_BYTES
from insight_edge.compile.parity import refuse_disagreement
from insight_edge.compile.source import Original, SourceModel, source_from_onnx
from insight_edge.errors import ModelError

if TYPE_CHECKING:
    import torch

FORM = "torch"
OPSET = 18
"""Exported without down-conversion, and read by every compiler tried (17 silently becomes 18)."""

HINT = "save it with torch.export.save(torch.export.export(model, (example,)), 'model.pt2')"


class TorchImporter:
    """Reads `.pt2`; refuses pickled modules with what to do instead."""

    def accepts(self, path: Path) -> bool:
        """Return whether the file is PyTorch's by its suffix."""
        return path.suffix.lower() in {".pt2", ".pt", ".pth"}

    def read(self, path: Path, *, trust_pickle: bool) -> SourceModel:
        """Return the program in ONNX.

        Raises:
            ModelError: a pickled module, a damaged file, pickled code, no example inputs, or an
                export that answers otherwise than torch.
        """
        if path.suffix.lower() != ".pt2":
            raise ModelError(
                "a pickled module runs code when it is read, and needs its class",
                hint=HINT,
            )
        _check_archive(path, trust_pickle=trust_pickle)
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = _load(path)
            data = _export(program)
            source = source_from_onnx(data, name=path.stem, importer=FORM)
            _refuse_opset(source)
            _refuse_disagreement(program, source)
        return replace(source, original=Original(form=FORM, data=path.read_bytes()))


def _check_archive(path: Path, *, trust_pickle: bool) -> None:
    """Refuse what torch would read without a word: pickled code, and weights that are not there."""
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > MAX_MODEL_BYTES:
                raise ModelError(f"unpacks to more than {MAX_MODEL_BYTES} bytes")
            for name in archive.namelist():
                _refuse_absence(name, archive)
                if not trust_pickle:
                    _refuse_code(name, archive)
    except zipfile.BadZipFile as error:
        raise ModelError("not a saved torch program", hint=HINT) from error


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


def _load(path: Path) -> "torch.export.ExportedProgram":
    import torch

    try:
        return torch.export.load(path)
    except Exception as error:
        raise ModelError(f"torch cannot read it: {_one_line(error)}") from error


def _export(program: "torch.export.ExportedProgram") -> bytes:
    import torch

    with TemporaryDirectory() as directory:
        exported = Path(directory) / "model.onnx"
        try:
            torch.onnx.export(
                program,
                (),
                exported,
                dynamo=True,
                opset_version=OPSET,
                external_data=False,
                verbose=False,
            )
        except Exception as error:
            raise ModelError(f"cannot be exported to ONNX: {_cause(error)}") from error
        return exported.read_bytes()


def _refuse_opset(source: SourceModel) -> None:
    """Refuse another opset than was asked for: the exporter reports none of its failures here."""
    if source.workload.opset != OPSET:
        raise ModelError(f"torch exported opset {source.workload.opset}, not {OPSET}")


def _refuse_disagreement(program: "torch.export.ExportedProgram", source: SourceModel) -> None:
    import torch

    if program.example_inputs is None:
        raise ModelError("it carries no example inputs", hint=HINT)
    given, named = program.example_inputs
    generator = torch.Generator().manual_seed(0)
    tree = torch.utils._pytree  # noqa: SLF001 (torch offers no public name for it)
    drawn_args, drawn_kwargs = tree.tree_map(lambda x: _drawn(x, generator), (given, named))
    with torch.no_grad():
        answers = tree.tree_leaves(program.module()(*drawn_args, **drawn_kwargs))
    fed = [x for x in tree.tree_leaves((drawn_args, drawn_kwargs)) if torch.is_tensor(x)]
    names = [spec.name for spec in source.workload.inputs]
    if len(fed) != len(names):
        raise ModelError(f"torch takes {len(fed)} tensors, the export {len(names)}")
    inputs = {name: _array(x) for name, x in zip(names, fed, strict=True)}
    refuse_disagreement(source.data, inputs, [_array(x) for x in answers], framework="torch")


def _drawn(example: Any, generator: "torch.Generator") -> Any:
    """Return normal noise in the shape of a float example; the example itself otherwise.

    Integers may be indices: only those that the author tried are known to be in range.
    """
    import torch

    if not torch.is_tensor(example) or not example.is_floating_point():
        return example
    return torch.randn(example.shape, generator=generator).to(example.dtype)


def _array(tensor: "torch.Tensor") -> NDArray[np.generic]:
    array: NDArray[np.generic] = tensor.detach().cpu().numpy()
    return array


def _cause(error: BaseException) -> str:
    """Return the first error of a chain: the exporter's own is a page of advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    return _one_line(error)


def _one_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"
