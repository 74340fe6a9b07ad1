# SPDX-License-Identifier: Apache-2.0
"""Which processor is emulated for a profile, what it is shown, and why nothing is emulated."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from insight_edge.compile.choose_predicted import choose_predicted
from insight_edge.compile.profiles.reading import find_profile
from insight_edge.compile.targets.abroad import Abroad, abroad
from insight_edge.compile.targets.emulation import ROOT_VARIABLE, Emulation, find_emulation
from insight_edge.compile.targets.plan import Planned
from insight_edge.compile.toolchains.environments import lock_digest
from insight_edge.documents.evidence import Trial
from insight_edge.documents.facts import Facts
from insight_edge.documents.profile import Figure, Limits
from insight_edge.documents.target import target_from_token
from insight_edge.documents.workload import Operation, Workload
from insight_edge.errors import NothingShippableError, ToolchainMissingError
from insight_edge.runtime.processor import isa_extensions
from tests.fakes.hardware import profile_of
from tests.unit.compile.test_choose import proof


def workload_of(parameter_bytes: int) -> Workload:
    """Return a model that does nothing but read its weights."""
    reads = Operation(
        name="n",
        op="Gemm",
        flops=0,
        read_bytes=parameter_bytes,
        written_bytes=0,
        parameter_bytes=parameter_bytes,
    )
    return Workload(
        model_digest="sha256:0",
        opset=18,
        inputs=(),
        outputs=(),
        operations=(reads,),
        flops=0,
        parameter_bytes=parameter_bytes,
        peak_live_bytes=0,
    )


X86 = Facts(arch="x86_64", cpu_model="c", isa=(), cores=2, memory_bytes=2**32, os="o")


def program(folder: Path, name: str, says: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\necho '{says}'\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a root that has one environment and nothing to run, and an emulator of a name."""
    program(tmp_path / "bin", "qemu-aarch64-static", "qemu-aarch64 version 9.9.9 (Some)")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    root = tmp_path / "arm"
    (root / "root" / "usr").mkdir(parents=True)
    (root / "packages").write_text("some")
    environment = root / "environments" / "device-onnxruntime"
    environment.mkdir(parents=True)
    (environment / "lock.digest").write_text(lock_digest("device-onnxruntime"))
    monkeypatch.setenv(ROOT_VARIABLE, str(root))
    return root


def emulation_of(isa: Sequence[str], model: str = "Some CPU") -> Emulation:
    profile = profile_of(arch="aarch64", isa=isa)
    cpu = replace(profile.cpu, model=Figure(value=model, source="s"))
    found = find_emulation(replace(profile, cpu=cpu))
    assert isinstance(found, Emulation)
    return found


@pytest.mark.parametrize(
    ("isa", "core"),
    [
        (("asimd",), "cortex-a72"),
        (("asimd", "asimdhp", "asimddp"), "cortex-a76"),
        (("asimd", "asimddp", "sve"), "max"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_plainest_core_that_has_what_the_profile_has_is_emulated(
    isa: Sequence[str], core: str
) -> None:
    found = emulation_of(isa)
    assert (found.core, str(found)) == (core, f"qemu-aarch64 9.9.9 as {core}")


@pytest.mark.usefixtures("folder")
def test_process_is_shown_the_processor_of_the_profile(tmp_path: Path) -> None:
    found = emulation_of(("asimd", "asimddp"), "Cortex-A78AE")
    interpreter = found.interpreter("onnxruntime", tmp_path / "seen")
    found.interpreter("onnxruntime", tmp_path / "seen")
    assert isa_extensions(tmp_path / "seen") == ("fp", "asimd", "asimddp")
    assert "CPU part\t: 0xd42" in (tmp_path / "seen/proc/cpuinfo").read_text()
    assert interpreter.timed is False
    assert interpreter.variables is not None
    assert "VIRTUAL_ENV" not in interpreter.variables


@pytest.mark.usefixtures("folder")
def test_environment_that_is_missing_or_old_is_named() -> None:
    found = emulation_of(("asimd",))
    with pytest.raises(ToolchainMissingError, match="'device-tflite' is not installed for aarch64"):
        found.interpreter("tflite", Path("nowhere"))
    stamp = found.folder / "environments/device-onnxruntime/lock.digest"
    stamp.write_text("sha256:old")
    with pytest.raises(ToolchainMissingError, match="older lock"):
        found.interpreter("onnxruntime", Path("nowhere"))


def test_missing_root_is_a_reason_that_says_how_to_make_one(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert folder.exists()
    monkeypatch.setenv(ROOT_VARIABLE, str(tmp_path / "none"))
    found = find_emulation(profile_of(arch="aarch64", isa=("asimd",)))
    assert found == f"there is no aarch64 root at {tmp_path / 'none'} (make arm-root)"


def test_missing_emulator_is_a_reason_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    found = find_emulation(profile_of(arch="aarch64", isa=("asimd",)))
    assert "apt-get install qemu-user-static" in str(found)


def test_other_architecture_is_not_emulated() -> None:
    assert find_emulation(profile_of(arch="armv7l", isa=("neon",))) == "armv7l is not emulated"


def test_profile_of_this_architecture_is_not_abroad(tmp_path: Path) -> None:
    assert abroad(profile_of(), X86, tmp_path) is None


@pytest.fixture
def pi5(folder: Path, tmp_path: Path) -> Abroad:
    assert folder.exists()
    found = abroad(find_profile("rpi5-8gb"), X86, tmp_path / "seen")
    assert found is not None
    return found


def test_target_that_can_be_asked_stays_and_the_others_say_why(pi5: Abroad) -> None:
    settled = {
        token: pi5.settled(Planned(target=target_from_token(token)))
        for token in ("onnxruntime:int8", "tflite:fp32", "openvino:fp32", "tflite:int8+dynamic")
    }
    kept = settled["onnxruntime:int8"]
    assert (kept.refusal, kept.unexecuted) == (None, None)
    assert settled["tflite:fp32"].unexecuted == (
        "this machine is x86_64, not aarch64: the environment 'device-tflite' is not installed "
        "for aarch64 (make arm-root)"
    )
    assert "takes minutes under emulation" in (settled["openvino:fp32"].refusal or "")
    assert "not predicted faster" in (settled["tflite:int8+dynamic"].refusal or "")


def test_only_what_was_asked_is_labelled(pi5: Abroad) -> None:
    refused = Trial(target=target_from_token("tvm:fp32"), status="refused", reason="no")
    assert pi5.labelled(refused, workload_of(0)) == refused
    asked = pi5.labelled(replace(refused, status="built", proof=proof()), workload_of(0))
    assert asked.emulated == "qemu-aarch64 9.9.9 as cortex-a76"
    assert asked.prediction is not None
    assert (asked.prediction.bound_ms, asked.measurement) == (None, None)


def test_weights_that_no_cache_holds_bound_the_latency(pi5: Abroad) -> None:
    built = Trial(
        target=target_from_token("onnxruntime:fp32"), status="built", reason="", proof=proof()
    )
    asked = pi5.labelled(built, workload_of(10**9))
    assert asked.prediction is not None
    least_ms = asked.prediction.bound_ms
    assert least_ms is not None
    assert 50 < least_ms < 60  # a gigabyte, at 17 GB/s
    with pytest.raises(NothingShippableError, match="ms at least"):
        choose_predicted([asked], replace(pi5.profile, limits=Limits(latency_p50_ms=10)))
