# SPDX-License-Identifier: Apache-2.0
"""What the TensorRT engine says where there is no GPU, and which plans it does not touch."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from insight_edge.compile.backends.tensorrt import TensorRtBackend
from insight_edge.documents.facts import EngineFacts, Missing
from insight_edge.runtime import cuda
from insight_edge.runtime.cuda import CudaError, GpuFacts, gpu_facts
from insight_edge.runtime.engines.tensorrt import (
    TensorRtEngine,
    _obstacle,
    diagnosis,
    refuse_settings,
)
from insight_edge.runtime.engines.tensorrt_flavours import FULL, RTX, flavour_of

SETTINGS = {"flavour": "rtx", "compute_capabilities": "8.6,8.9", "max_batch": "64"}
TOOLCHAIN = TensorRtBackend().toolchain()


@pytest.fixture
def no_driver(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let this process look for a driver's library that no machine has."""
    monkeypatch.setattr(cuda, "LIBRARY", "libcuda-of-no-machine.so.1")
    cuda._library.cache_clear()
    yield
    cuda._library.cache_clear()


@pytest.mark.usefixtures("no_driver")
def test_without_a_driver_it_is_missing_for_that_reason() -> None:
    facts = TensorRtEngine().facts()
    assert isinstance(facts, Missing)
    assert facts.reason.startswith("no NVIDIA driver: libcuda-of-no-machine.so.1")
    with pytest.raises(CudaError, match="no NVIDIA driver"):
        gpu_facts()


@pytest.mark.gpu
def test_with_a_gpu_it_says_which_flavour_runs_on_it_or_why_none_does() -> None:
    try:
        found = gpu_facts()
    except CudaError as error:
        pytest.skip(str(error))
    facts = TensorRtEngine().facts()
    named = facts.version if isinstance(facts, EngineFacts) else facts.reason
    assert named
    assert float(found.capability) > 0


def test_settings_of_a_plan_for_this_gpu_are_taken() -> None:
    assert refuse_settings(SETTINGS, "8.9") is RTX


@pytest.mark.parametrize(
    ("changes", "capability", "said"),
    [
        ({}, "8.0", "is for compute capability 8.6,8.9, this GPU has 8.0"),
        ({"compute_capabilities": ""}, "8.9", "is for compute capability unknown"),
        ({"compute_capabilities": "8.90"}, "8.9", "this GPU has 8.9"),
        ({"flavour": "other"}, "8.9", "'other' is not a flavour"),
        ({"flavour": ""}, "8.9", "'' is not a flavour"),
        ({"temporary_directory": "/"}, "8.9", "'temporary_directory' is not one"),
    ],
)
def test_foreign_plan_is_refused_before_anything_is_loaded(
    changes: dict[str, str], capability: str, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        refuse_settings(SETTINGS | changes, capability)


@pytest.mark.parametrize(
    ("facts", "flavour", "said"),
    [
        (GpuFacts(capability="9.0", cuda=(13, 0)), RTX, "does not run on compute capability 9.0"),
        (GpuFacts(capability="7.0", cuda=(13, 0)), FULL, "does not run on compute capability 7.0"),
        (GpuFacts(capability="8.9", cuda=(13, 0)), RTX, "is not installed"),
    ],
)
def test_obstacle_names_the_first_thing_in_the_way(
    facts: GpuFacts, flavour: object, said: str
) -> None:
    assert said in (_obstacle(flavour, facts) or "")  # type: ignore[arg-type]  # either of two


def test_header_bits_become_words() -> None:
    class Bit:
        def __init__(self, value: int) -> None:
            self.value = value

    bits = {"VERSION_MISMATCH": Bit(1), "UNSUPPORTED_CC": Bit(2), "MALFORMED_ENGINE": Bit(32)}
    assert diagnosis(bits, 34) == "unsupported cc, malformed engine"
    assert diagnosis(bits, 0) == "no reason given"


def test_flavours_are_told_apart_by_their_token() -> None:
    assert flavour_of({"flavour": "full"}) is FULL
    assert RTX.supports("12.0")
    assert not RTX.supports("8.7")
    assert FULL.supports("8.7")


@pytest.mark.slow
@pytest.mark.skipif(isinstance(TOOLCHAIN, Missing), reason=getattr(TOOLCHAIN, "reason", ""))
def test_library_itself_finds_a_header_of_garbage_malformed(tmp_path: Path) -> None:
    assert not isinstance(TOOLCHAIN, Missing)
    (tmp_path / "m.plan").write_bytes(b"\x00garbage" * 40)
    code = (
        "import sys; from pathlib import Path\n"
        "from insight_edge.runtime.engines import tensorrt as engine\n"
        "from insight_edge.runtime.engines.tensorrt_flavours import RTX\n"
        "library, journal = engine._library(RTX)\n"
        "runtime = library.Runtime(journal)\n"
        "try:\n"
        "    engine._refuse_header(library, runtime, Path(sys.argv[1]))\n"
        "except ValueError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [TOOLCHAIN.python, "-c", code, str(tmp_path / "m.plan")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "the plan's header is not for this machine" in done.stdout
    assert "malformed engine" in done.stdout
    assert done.stderr == ""
