# SPDX-License-Identifier: Apache-2.0
"""ONNX files as they are: everything is checked by `compile.graph.check`.

The checking happens in a child process, because onnx's own checker can be
crashed, or kept busy for ever, by a file made for that. Weights that lie in
files beside the model are put into it, slips of exporters that change no answer
are put right, models of an opset older than is compiled are raised and compared
with what they were, and functions, which most compilers do not know, unfolded.
"""

from pathlib import Path

from insight_edge.compile.sources.conversion import MODEL, WORKLOAD
from insight_edge.compile.sources.importing import ImportLimits, examine_apart
from insight_edge.compile.sources.source import SourceModel
from insight_edge.errors import InsightEdgeError, ModelError

EXAMINER = f"{__name__}:examine"


class OnnxImporter:
    """Reads `.onnx`.

    Args:
        limits: of the child that examines a file.
    """

    def __init__(self, limits: ImportLimits | None = None) -> None:
        self._limits = limits

    def accepts(self, path: Path) -> bool:
        """Return whether the file is ONNX by its suffix."""
        return path.suffix.lower() == ".onnx"

    def read(self, path: Path, *, trust_pickle: bool) -> SourceModel:  # noqa: ARG002 (no code)
        """Return the model; ONNX carries no code.

        Raises:
            ModelError: not ONNX, or ONNX that must not be compiled.
            StorageError: the disk is full.
        """
        return examine_apart(path, examiner=EXAMINER, importer="onnx", limits=self._limits)


def examine(path: Path, directory: Path, *, trust_pickle: bool) -> None:  # noqa: ARG001 (no code)
    """Check an ONNX file and write its workload; and itself, where that is not the file.

    Runs in a child process.

    Raises:
        ModelError: it must not be compiled.
    """
    # The onnx package is not there where importers are only listed.
    from insight_edge.compile.graph.check import check_model, parse_model, refuse_size
    from insight_edge.compile.graph.external import inline_external
    from insight_edge.compile.graph.raising import raised
    from insight_edge.compile.graph.tidying import tidy, unfold
    from insight_edge.compile.graph.workload import workload_from_onnx
    from insight_edge.documents.codec import digest, encode_json

    refuse_size(path.stat().st_size)
    data = path.read_bytes()
    model, model_digest = parse_model(data), digest(data)
    del data  # whoever looks at a weight of two gigabytes makes a copy of it
    try:
        changed = inline_external(model, path.parent)
        changed |= tidy(model)
        newer = raised(model) or model
        check_model(newer)
        newer = unfold(newer)
        if changed or newer is not model:
            model = newer
            data = model.SerializeToString(deterministic=True)
            refuse_size(len(data))
            (directory / MODEL).write_bytes(data)
            model_digest = digest(data)
            del data
        workload = workload_from_onnx(model, model_digest)
    except (InsightEdgeError, OSError):
        raise
    except Exception as error:
        # Whatever a hostile graph makes of code that believes what onnx's checker let pass.
        lines = str(error).strip().splitlines() or [""]
        raise ModelError(f"not valid ONNX: {type(error).__name__}: {lines[0]}") from error
    (directory / WORKLOAD).write_bytes(encode_json(workload))
