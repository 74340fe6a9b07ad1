# SPDX-License-Identifier: Apache-2.0
"""The suite of engines over tflite-runtime 2.14 and NumPy 1, where these are installed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from insight_edge.compile.toolchains.environments import environment_python
from insight_edge.errors import ToolchainMissingError
from tests.fakes.tflite_models import SCHEMA_VARIABLE

ROOT = Path(__file__).parents[2]
SCHEMA = "lib/python3*/site-packages/ai_edge_litert/schema_py_generated.py"
RUN = """
import sys
sys.path.append(sys.argv.pop(1))  # what tests need, behind what the environment has
import importlib.util, numpy, pytest
assert importlib.util.find_spec("ai_edge_litert") is None
assert numpy.__version__.startswith("1.")
sys.exit(pytest.main(sys.argv[1:]))
"""


def installed(name: str) -> Path:
    try:
        return environment_python(name)
    except ToolchainMissingError as error:
        pytest.skip(f"{error} ({error.hint})")


@pytest.mark.long
def test_older_runtime_passes_what_litert_passes() -> None:
    python, litert = installed("toolchain-tflite-runtime"), installed("device-tflite")
    schema = next(litert.parents[1].glob(SCHEMA))
    words = (Path(pytest.__file__).parents[1], "-q", "-p", "no:cacheprovider", "-k", "tflite")
    done = subprocess.run(
        [python, "-c", RUN, *words, "tests/conformance/test_engine.py"],
        capture_output=True, text=True, check=False, cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), SCHEMA_VARIABLE: str(schema)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    sys.stdout.write(done.stdout)
