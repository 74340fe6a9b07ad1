# SPDX-License-Identifier: Apache-2.0
"""Engines that no workshop has installed, borrowed from the environments of devices."""

import os
import sys
from pathlib import Path

import pytest

from insight_edge.compile.toolchains.environments import environment_python
from insight_edge.errors import InsightEdgeError


def device_python(token: str) -> Path | None:
    """Return the interpreter of an engine's device environment, None where it is not installed."""
    try:
        return environment_python(f"device-{token}")
    except InsightEdgeError:
        return None


def borrow_engine(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process and its children import what a device has, after what is here."""
    python = device_python(token)
    if python is None:
        return
    packages = str(next(python.parents[1].glob("lib/python*/site-packages")))
    monkeypatch.setattr(sys, "path", [*sys.path, packages])
    known = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [known, packages])))
