# SPDX-License-Identifier: Apache-2.0
"""What an import child may be asked to run, most of it as a broken toolchain would behave."""

import os
import signal
import time
from pathlib import Path

import numpy as np

from insight_edge.bundle.npz import npz_from_arrays
from insight_edge.compile.sources.conversion import ANSWERS, INPUTS, MODEL
from insight_edge.errors import ModelError
from tests.fakes.onnx_models import relu_model

ROWS = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)


def convert(path: Path, directory: Path, *, trust_pickle: bool) -> None:
    """Make a Relu of any file, or what the file names."""
    print(trust_pickle)  # noqa: T201 (converters chatter)
    answers = {"wrong": ROWS, "shape": ROWS[:2]}.get(path.read_text(), np.maximum(ROWS, 0))
    (directory / MODEL).write_bytes(relu_model().SerializeToString())
    fed = "other" if path.read_text() == "names" else "x"
    (directory / INPUTS).write_bytes(npz_from_arrays({fed: ROWS}))
    (directory / ANSWERS).write_bytes(npz_from_arrays({"0": answers}))


def old_opset(_: Path, directory: Path, *, trust_pickle: bool) -> None:  # noqa: ARG001 (the seam's)
    model = relu_model()
    model.opset_import[0].version = 15
    (directory / MODEL).write_bytes(model.SerializeToString())
    (directory / INPUTS).write_bytes(npz_from_arrays({"x": ROWS}))
    (directory / ANSWERS).write_bytes(npz_from_arrays({"0": np.maximum(ROWS, 0)}))


def refuse(*_: Path, trust_pickle: bool) -> None:
    raise ModelError(f"it is odd, {trust_pickle}", hint="make it even")


def fail(*_: Path, trust_pickle: bool) -> None:
    raise RuntimeError(f"deep inside\nlast line of {trust_pickle}")


def crash(*_: Path, trust_pickle: bool) -> None:  # noqa: ARG001 (the seam's)
    os.kill(os.getpid(), signal.SIGSEGV)


def hang(path: Path, _: Path, *, trust_pickle: bool) -> None:  # noqa: ARG001 (the seam's)
    path.write_text(str(os.getpid()))
    time.sleep(600)


def grow(*_: Path, trust_pickle: bool) -> None:  # noqa: ARG001 (the seam's)
    held = []
    while True:
        held.append(np.ones(2**22))


def leave_nothing(*_: Path, trust_pickle: bool) -> None:
    """End well."""
