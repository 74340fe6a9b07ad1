# SPDX-License-Identifier: Apache-2.0
"""Nothing phones home, and nothing is imported that would: engines are kept from both."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SEND_NONE = "from insight_edge.runtime.usage_data import send_none; send_none()\n"


def left_behind(code: str, folder: Path) -> list[str]:
    # It is silent by itself where CI is set, which would make the test prove nothing.
    silent = {"ORT_DISABLE_TELEMETRY", "CI"}
    environment = {k: v for k, v in os.environ.items() if k not in silent}
    environment["TMPDIR"] = str(folder)
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    return sorted(path.name for path in folder.iterdir())


def test_onnxruntime_opens_no_session_with_its_vendor(tmp_path: Path) -> None:
    assert left_behind(SEND_NONE + "import onnxruntime", tmp_path) == []


def test_onnxruntime_would_open_one_if_it_were_let(tmp_path: Path) -> None:
    if left_behind("import onnxruntime", tmp_path) == []:
        pytest.skip("this build of onnxruntime sends nothing: the test above shows nothing")


def test_openvino_brings_neither_its_telemetry_nor_its_converter() -> None:
    code = (
        "import sys; from insight_edge.runtime.engines.openvino import _import_openvino\n"
        "_import_openvino()\n"
        "print(*(name for name in sys.modules if name.startswith('openvino')))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(done.stdout.split())
    assert "openvino" in loaded
    assert {name for name in loaded if "telemetry" in name or "ovc" in name} == set()
