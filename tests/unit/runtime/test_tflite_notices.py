# SPDX-License-Identifier: Apache-2.0
"""LiteRT's notices do not reach stderr; everything else does."""

import os

import pytest

from insight_edge.runtime.engines.tflite_notices import notices_dropped


def fail_within() -> None:
    with notices_dropped():
        os.write(2, b"last words\n")
        raise ArithmeticError


def test_notices_are_dropped_and_the_rest_arrives(capfd: pytest.CaptureFixture[str]) -> None:
    os.write(2, b"before\n")
    with notices_dropped():
        os.write(2, b"INFO: made a delegate\nERROR: a real one\nand INFO: of it\n")
    os.write(2, b"INFO: after\n")
    assert capfd.readouterr().err == "before\nERROR: a real one\nand INFO: of it\nINFO: after\n"


def test_stderr_is_given_back_after_a_failure(capfd: pytest.CaptureFixture[str]) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 (names of descriptors, not files)
    with pytest.raises(ArithmeticError):
        fail_within()
    assert capfd.readouterr().err == "last words\n"
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
