# SPDX-License-Identifier: Apache-2.0
"""ONNX files as they are: nothing is converted, everything is checked by `compile.check`."""

from pathlib import Path

from insight_edge.compile.source import SourceModel, source_from_onnx


class OnnxImporter:
    """Reads `.onnx`."""

    def accepts(self, path: Path) -> bool:
        """Return whether the file is ONNX by its suffix."""
        return path.suffix.lower() == ".onnx"

    def read(self, path: Path, *, trust_pickle: bool) -> SourceModel:  # noqa: ARG002 (no code)
        """Return the model; ONNX carries no code.

        Raises:
            ModelError: not ONNX, or ONNX that must not be compiled.
        """
        return source_from_onnx(path.read_bytes(), name=path.stem, importer="onnx")
