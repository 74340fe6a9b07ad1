# SPDX-License-Identifier: Apache-2.0
"""The guide to several models, its bundles real ONNX."""

import re
from pathlib import Path

import pytest

from tests.fakes.matrix import random_matrix, write_matrix_bundle
from tests.integration.test_runtime_challenger import onnx_bytes

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "several-models.md"


def test_guide_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed, name in enumerate(("door", "count")):
        matrix = random_matrix(seed)
        artifact = onnx_bytes(matrix, is_wrong=False)
        write_matrix_bundle(
            tmp_path / f"{name}.bundle", matrix, backend="onnxruntime", artifact=artifact
        )
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL):
        exec(block, names)  # noqa: S102 - our own page
    said = capsys.readouterr().out
    assert "door: ready , 64 MiB (bound)" in said
    assert "nothing yet" in said
    assert "'door' needs 64.0 MiB, 16.0 are free - unload a model" in said
    assert (
        "[('door', 'ready'), ('count', 'ready'), ('count', 'ready'), ('door', 'unloaded')]" in said
    )
