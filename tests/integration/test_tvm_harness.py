# SPDX-License-Identifier: Apache-2.0
"""Code for armv7 comes with a program in C++ that loads it, and is never shipped."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from insight_edge.compile.backends import tvm_library
from insight_edge.compile.backends.tvm import TvmBackend
from insight_edge.compile.backends.tvm_library import ENTRY, HARNESS
from insight_edge.compile.backends.tvm_processor import ARCHITECTURES
from insight_edge.compile.building.build import build
from insight_edge.compile.building.outcome import Built
from insight_edge.compile.compiler import compile_model
from insight_edge.compile.job import BuildJob
from insight_edge.compile.settings import Settings
from insight_edge.compile.sources.source import source_from_onnx
from insight_edge.compile.toolchains.toolchain import Toolchain
from insight_edge.compile.trials.oracle import source_answers
from insight_edge.documents.evidence import Trial
from insight_edge.documents.facts import Missing
from insight_edge.documents.target import target_from_token
from insight_edge.errors import NothingShippableError
from tests.fakes.arm import emulated
from tests.fakes.hardware import profile_of
from tests.fakes.onnx_models import conv_model

pytestmark = pytest.mark.slow

ARM_32, BITS_32 = 40, 1
"""What an ELF file says of its machine and its class."""

SHAPE = (1, 3, 16, 16)
COMPILE = ("-std=c++20", "-Wall", "-Werror", "-I")


@pytest.fixture
def toolchain() -> Toolchain:
    found = TvmBackend().toolchain()
    if isinstance(found, Missing):
        pytest.skip(f"tvm: {found.reason}")
    return found


def compiler_for(arch: str) -> str:
    name = f"{ARCHITECTURES[arch].triple}-g++"
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed (apt-get install g++-{ARCHITECTURES[arch].triple})")
    return name


def headers_of(toolchain: Toolchain) -> str:
    packages = next(Path(toolchain.python).parents[1].glob("lib/python*/site-packages"))
    return str(packages / "tvm_ffi" / "include")


def built(toolchain: Toolchain, place: Path, arch: str, isa: str) -> Path:
    """Build for an architecture and return the folder of the artifact."""
    (place / "m.onnx").write_bytes(conv_model().SerializeToString())
    job = BuildJob(
        plugin="insight_edge.compile.backends.tvm:TvmBackend",
        target=target_from_token("tvm:fp32"),
        model=str(place / "m.onnx"),
        model_digest="sha256:0",
        arch=arch,
        isa=(isa,),
    )
    outcome = build(job, place / "build", python=toolchain.python)
    assert isinstance(outcome, Built), outcome
    return outcome.directory


def test_library_for_armv7_is_of_its_kind_and_its_program_compiles(
    toolchain: Toolchain, tmp_path: Path
) -> None:
    compiler = compiler_for("armv7l")
    artifact = built(toolchain, tmp_path, "armv7l", "neon")
    head = (artifact / ENTRY).read_bytes()[:20]
    assert (head[:4], head[4], head[18]) == (b"\x7fELF", BITS_32, ARM_32)
    command = [compiler, *COMPILE, headers_of(toolchain), "-fsyntax-only", str(artifact / HARNESS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_program_asks_a_library_and_gets_the_models_answers(
    toolchain: Toolchain, tmp_path: Path
) -> None:
    """On aarch64, of which there is a runtime: what it does is the same on any processor."""
    pi = emulated("rpi4-4gb", tmp_path / "seen", "tvm")
    compiler = compiler_for("aarch64")
    artifact = built(toolchain, tmp_path, "aarch64", "asimd")
    interpreter = pi.interpreter("tvm")
    assert interpreter.variables is not None
    packages = Path(interpreter.variables["PYTHONPATH"].partition(":")[0])
    libraries = [packages / "tvm" / "lib", packages / "tvm_ffi" / "lib"]
    source = Path(tvm_library.__file__).with_name("tvm_harness.cpp")
    linking = [f"-L{each}" for each in libraries]
    subprocess.run(
        [compiler, *COMPILE, headers_of(toolchain), source, *linking, "-Wl,--no-as-needed",
         "-Wl,--allow-shlib-undefined", "-ltvm_runtime", "-ltvm_ffi", "-o", tmp_path / "harness"],
        check=True,
    )  # fmt: skip
    row = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    (tmp_path / "x.bin").write_bytes(row.tobytes())
    emulator = interpreter.command[: interpreter.command.index("-cpu") + 2]
    paths = ":".join(map(str, libraries))
    asked = [str(tmp_path / "harness"), str(artifact / ENTRY), "x.bin:float32:1,3,16,16"]
    done = subprocess.run(
        [*emulator, "-E", f"LD_LIBRARY_PATH={paths}", *asked],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "output-0.bin: 10 elements\n"), done.stderr
    found = np.frombuffer((tmp_path / "output-0.bin").read_bytes(), np.float32)
    model = source_from_onnx((tmp_path / "m.onnx").read_bytes(), name="m", importer="onnx")
    expected = source_answers(model, {"x": row})["logits"][0]
    assert np.abs(found - expected).max() < 1e-5


@pytest.mark.usefixtures("toolchain")
def test_armv7_is_built_and_not_shipped_with_the_reason(tmp_path: Path) -> None:
    compiler_for("armv7l")
    (tmp_path / "m.onnx").write_bytes(conv_model().SerializeToString())
    profile = profile_of(arch="armv7l", isa=("neon",), engines={"tvm": ("fp32",)})
    settings = Settings(accept_unproven=True)
    with pytest.raises(NothingShippableError) as raised:
        compile_model(tmp_path / "m.onnx", profile, tmp_path / "b", settings=settings)
    trials = [t for t in raised.value.trials if isinstance(t, Trial) and t.status == "built"]
    assert [t.target.token for t in trials] == ["tvm:fp32"]
    assert "armv7l is not emulated" in trials[0].unexecuted
    assert f"build it, and run {HARNESS} with it" in trials[0].unfinished
    assert trials[0].unfinished in trials[0].reason
    assert not (tmp_path / "b").exists()
