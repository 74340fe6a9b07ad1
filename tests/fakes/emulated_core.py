# SPDX-License-Identifier: Apache-2.0
"""What a runtime does for an application, done once under emulation: it needs NumPy alone."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.errors import DigestMismatchError, InsightEdgeError, TensorMismatchError
from insight_edge.runtime.infer import Runtime
from tests.fakes import engine

Arrays = dict[str, NDArray[Any]]


def main(place: Path) -> None:
    """Serve the bundles `1` and `2` of a folder in turn; `<bundle>.npy` has the weights of each."""
    with Runtime.open(place / "1", allow_unsigned=True, threads=1) as runtime:
        asked = sum(ask(runtime, np.load(place / "1.npy"), rows) for rows in (1, 3, 17))
        refused(TensorMismatchError, lambda: runtime.infer({"x": drawn(1)["x"]}))
        report = runtime.take_report()
        assert report is not None
        assert report.counts.answered == asked
        record = runtime.swap(place / "2")
        ask(runtime, np.load(place / "2.npy"), 3)
        served = runtime.served
        assert served is not None
        assert served.bundle == record.target
        spoil(place / "1")
        refused(InsightEdgeError, lambda: runtime.swap(place / "1"))
        ask(runtime, np.load(place / "2.npy"), 3)
    refused(DigestMismatchError, lambda: Runtime.open(place / "1", allow_unsigned=True))
    sys.stdout.write("as anywhere\n")


def ask(runtime: Runtime, weights: NDArray[Any], rows: int) -> int:
    inputs = drawn(rows)
    found, expected = runtime.infer(inputs).outputs, engine.answers(inputs, weights)
    np.testing.assert_allclose(found["y"], expected["y"], atol=1e-5)
    np.testing.assert_array_equal(found["top"], expected["top"])
    return 1


def drawn(rows: int) -> Arrays:
    generator = np.random.default_rng(rows)
    x, shift = generator.normal(size=(rows, 8)), generator.normal(size=(rows, 1))
    return {"x": x.astype(np.float32), "shift": shift.astype(np.float32)}


def spoil(bundle: Path) -> None:
    artifact = next(bundle.glob("model.*"))
    data = bytearray(artifact.read_bytes())
    data[len(data) // 2] ^= 1
    artifact.write_bytes(data)


def refused(kind: type[InsightEdgeError], act: Any) -> None:
    try:
        act()
    except kind:
        return
    raise AssertionError(f"no {kind.__name__}")
