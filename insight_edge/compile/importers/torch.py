# SPDX-License-Identifier: Apache-2.0
"""PyTorch programs saved by `torch.export.save`, exported to ONNX and compared with torch."""

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from insight_edge.compile.importers.torch_answers import ask, one_line, refuse_other_answers
from insight_edge.compile.importers.torch_archive import HINT, check_archive, with_plain_containers
from insight_edge.compile.importers.torch_face import settle_outputs
from insight_edge.compile.sources.source import Original, SourceModel, source_from_onnx
from insight_edge.errors import ModelError

if TYPE_CHECKING:
    import torch

FORM = "torch"
OPSET = 18
"""Exported without down-conversion, and read by every compiler tried (17 silently becomes 18)."""

TALKATIVE = ("torch.onnx", "torch._export", "torch.export", "onnx_ir", "onnxscript")
"""Loggers of what was seen in models that convert well."""


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
        data = path.read_bytes()
        check_archive(data, trust_pickle=trust_pickle)
        with _quiet():
            data = with_plain_containers(data)
            program = _load(data)
            asked = ask(program)
            source = source_from_onnx(_export(program), name=path.stem, importer=FORM)
            _refuse_opset(source)
            refuse_other_answers(asked, source)
        names = [spec.name for spec in source.workload.inputs]
        examples = dict(zip(names, asked.examples, strict=True))
        return replace(source, original=Original(form=FORM, data=data), examples=examples)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch's advice to authors of exporters from people who have a model."""
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _load(data: bytes) -> "torch.export.ExportedProgram":
    import torch

    swallowed: list[BaseException] = []
    logger = logging.getLogger("torch.export")

    def keep(record: logging.LogRecord) -> bool:
        if record.exc_info and record.exc_info[1]:
            swallowed.append(record.exc_info[1])
        return False

    logger.setLevel(logging.WARNING)
    logger.addFilter(keep)
    try:
        return torch.export.load(BytesIO(data))
    except Exception as error:
        raise _unread_error(swallowed[0] if swallowed else error) from error
    finally:
        logger.removeFilter(keep)


def _unread_error(error: BaseException) -> ModelError:
    """Return why torch does not read a program: what it raises says no more than that it logged."""
    told = _cause(error)
    missing = re.search(r"resolve torch\.ops\.(\w+)\.(\w+)", told)
    if missing is None:
        return ModelError(f"torch cannot read it: {told}")
    operator = "::".join(missing.groups())
    return ModelError(
        f"it calls {operator}, which torch itself does not have",
        hint=f"leave {operator} out of what is exported, and apply it to the outputs",
    )


def _export(program: "torch.export.ExportedProgram") -> bytes:
    import torch

    names = settle_outputs(program)
    with TemporaryDirectory() as directory:
        exported = Path(directory) / "model.onnx"
        try:
            torch.onnx.export(
                program,
                (),
                exported,
                output_names=names,
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


def _cause(error: BaseException) -> str:
    """Return the first error of a chain: the exporter's own is a page of advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    return one_line(error)
