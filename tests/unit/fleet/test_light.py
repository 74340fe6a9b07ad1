# SPDX-License-Identifier: Apache-2.0
"""An agent runs for years beside somebody's application: what it needs not, it loads not."""

import subprocess
import sys

import pytest

from insight_edge.bench.machine import machine_facts
from insight_edge.cli.agent_facts import facts_from_child
from insight_edge.errors import ConfigurationError
from insight_edge.runtime.loading import engine_facts

HEAVY = {"numpy", "onnxruntime", "openvino", "insight_edge.runtime", "insight_edge.compile"}


def test_agent_loads_neither_numpy_nor_a_runtime() -> None:
    code = "import sys, insight_edge.cli.agent; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) & HEAVY == set()


def test_facts_of_the_child_are_those_of_this_machine() -> None:
    assert facts_from_child() == machine_facts(engine_facts())


def test_child_that_fails_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(ConfigurationError, match="cannot be found out"):
        facts_from_child()
