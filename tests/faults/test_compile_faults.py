# SPDX-License-Identifier: Apache-2.0
"""A compiler that fails in any way is one trial with its reason; the others and the bundle stand.

The compilers are real, and what happens to them is: signals to their processes,
limits, and files that are damaged.
"""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from msgspec.structs import replace

from insight_edge.bundle.open import open_bundle
from insight_edge.bundle.process_tree import process_tree
from insight_edge.compile.building.outcome import BuildLimits
from insight_edge.compile.compiler import compile_model
from insight_edge.compile.job import BuildJob
from insight_edge.compile.profiles.reading import find_profile
from insight_edge.compile.settings import Compilation, Settings
from insight_edge.compile.toolchains.environments import environment_python
from insight_edge.documents.codec import decode_json
from insight_edge.documents.evidence import Trial
from insight_edge.documents.profile import EngineSupport, HardwareProfile
from insight_edge.documents.target import target_from_token
from insight_edge.errors import DocumentError, MissingError, TensorMismatchError
from tests.fakes.odd_models import Made, Rows, branching, free_image, looping, scanning, text
from tests.fakes.onnx_models import conv_model

ROWS = np.random.default_rng(0).normal(size=(400, 3, 16, 16)).astype(np.float32)
FULL = ("onnxruntime:fp32", "openvino:fp32")
MIB = 2**20

pytestmark = pytest.mark.slow


@pytest.fixture
def profile(here: Path) -> HardwareProfile:
    """Return this machine's profile, which here runs TFLite and TVM as well."""
    for token in ("tflite", "tvm"):
        for environment in (f"device-{token}", f"toolchain-{token}"):
            try:
                environment_python(environment)
            except MissingError as error:
                pytest.skip(f"{error} ({error.hint})")
    found = find_profile(str(here))
    more = {
        "tflite": EngineSupport(precisions=("fp32", "fp16", "int8")),
        "tvm": EngineSupport(precisions=("fp32",)),
    }
    return replace(found, engines=found.engines | more)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    onnx.save(conv_model(), tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    np.savez(tmp_path / "rows.npz", x=ROWS)
    return tmp_path / "rows.npz"


def settings_of(*tokens: str, limits: BuildLimits | None = None) -> Settings:
    only = tuple(map(target_from_token, tokens))
    return Settings(only=only, rounds=5, repair_s=0.0, limits=limits)


def trials_of(done: Compilation) -> dict[str, Trial]:
    return {trial.target.token: trial for trial in done.evidence.trials}


def assert_unharmed(done: Compilation, tokens: tuple[str, ...]) -> None:
    """Look that these trials were proven and measured, and that the bundle answers."""
    trials = trials_of(done)
    for token in tokens:
        proof, measurement = trials[token].proof, trials[token].measurement
        assert trials[token].status == "built", trials[token].reason
        assert proof is not None
        assert proof.verdict == "PROVEN", proof.reason
        assert measurement is not None
        assert measurement.rounds == 5
    assert open_bundle(done.bundle, allow_unsigned=True).evidence() == done.evidence


def building(token: str, library: str = "") -> int | None:
    """Return the process in which a target is built now and that has loaded a library, if any."""
    for pid in process_tree(os.getpid())[1:]:
        with suppress(OSError, DocumentError, ValueError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
            job = Path(words[words.index("insight_edge.compile.building.child") + 1])
            found = decode_json(BuildJob, job.read_bytes()).target.token
            if found == token and library in Path(f"/proc/{pid}/maps").read_text():
                return pid
    return None


@contextmanager
def sent(ends: Mapping[str, tuple[str, signal.Signals]]) -> Iterator[None]:
    """Send the compiler of each target a signal, as soon as it has loaded a library."""
    over = threading.Event()

    def watch() -> None:
        left = dict(ends)
        while left and not over.wait(0.01):
            for token, (library, number) in tuple(left.items()):
                pid = building(token, library)
                if pid is not None:
                    os.kill(pid, number)
                    del left[token]

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def test_compilers_killed_crashed_and_hung_are_trials_and_the_others_ship(
    model: Path, samples: Path, profile: HardwareProfile, tmp_path: Path
) -> None:
    ends = {
        "onnxruntime:int8": ("/onnxruntime/", signal.SIGSEGV),
        "tflite:fp32": ("/onnx/", signal.SIGKILL),
        "openvino:int8": ("/openvino/", signal.SIGSTOP),
    }
    settings = settings_of(*FULL, *ends, limits=BuildLimits(wall_s=30.0))
    with sent(ends):
        done = compile_model(model, profile, tmp_path / "b", samples=samples, settings=settings)
    assert_unharmed(done, FULL)
    trials = trials_of(done)
    assert {token: (trials[token].status, trials[token].reason) for token in ends} == {
        "onnxruntime:int8": ("failed", "killed by signal 11 (Segmentation fault)"),
        "tflite:fp32": ("failed", "killed by signal 9 (Killed)"),
        "openvino:int8": ("failed", "over the time limit of 30 s"),
    }
    for token in ends:
        assert trials[token].reproduce.endswith(f"--target {token}")
        assert trials[token].build_s is not None
        assert trials[token].proof is None
    assert "Segmentation fault" in trials["onnxruntime:int8"].log
    assert building("openvino:int8") is None


def test_compilers_over_their_memory_are_trials_and_the_other_ships(
    model: Path, samples: Path, profile: HardwareProfile, tmp_path: Path
) -> None:
    greedy = ("onnxruntime:int8", "tflite:fp32", "tvm:fp32")
    limits = BuildLimits(memory_bytes=128 * MIB)
    settings = settings_of("onnxruntime:fp32", *greedy, limits=limits)
    done = compile_model(model, profile, tmp_path / "b", samples=samples, settings=settings)
    assert_unharmed(done, ("onnxruntime:fp32",))
    reasons = {trials_of(done)[token].reason for token in greedy}
    assert reasons == {"over the memory limit of 0.1 GiB"}


def test_nan_in_calibration_refuses_int8_by_row_and_the_others_ship(
    model: Path, profile: HardwareProfile, tmp_path: Path
) -> None:
    rows = ROWS.copy()
    rows[8, 1, 2, 3] = np.nan
    np.savez(tmp_path / "rows.npz", x=rows)
    settings = settings_of(*FULL, "onnxruntime:int8", "tflite:int8")
    done = compile_model(
        model, profile, tmp_path / "b", samples=tmp_path / "rows.npz", settings=settings
    )
    assert_unharmed(done, FULL)
    for token in ("onnxruntime:int8", "tflite:int8"):
        trial = trials_of(done)[token]
        assert trial.status == "refused"
        assert trial.reason == "row 8 of 'x' has NaN or infinity, which INT8 cannot be made from"


@pytest.mark.parametrize(
    ("rows", "hint"),
    [
        (ROWS.transpose(0, 2, 3, 1), "its channels come last: pass rows.transpose(0, 3, 1, 2)"),
        (ROWS.astype(np.float64), "pass rows.astype('float32')"),
    ],
    ids=["layout", "dtype"],
)
def test_rows_of_another_layout_say_what_to_do(
    model: Path, profile: HardwareProfile, tmp_path: Path, rows: np.ndarray, hint: str
) -> None:
    np.savez(tmp_path / "rows.npz", x=rows)
    with pytest.raises(TensorMismatchError) as raised:
        compile_model(model, profile, tmp_path / "b", samples=tmp_path / "rows.npz")
    assert raised.value.hint == hint
    assert not (tmp_path / "b").exists()


ASK = (
    "import sys, numpy as np; from pathlib import Path; from insight_edge.runtime import Runtime\n"
    "bundle, fed, found = map(Path, sys.argv[1:])\n"
    "with Runtime.open(bundle, allow_unsigned=True) as runtime:\n"
    "    np.savez(found, **runtime.infer(dict(np.load(fed))).outputs)\n"
)


def answers(bundle: Path, fed: Rows, place: Path) -> Rows:
    """Return what the winner answers in the environment of its device."""
    [winner, *_] = open_bundle(bundle, allow_unsigned=True).manifest.variants
    python = environment_python(f"device-{winner.target.backend}")
    np.savez(place / "fed.npz", **fed)  # type: ignore[arg-type]  # arrays by name
    subprocess.run([python, "-c", ASK, bundle, place / "fed.npz", place / "found.npz"], check=True)
    with np.load(place / "found.npz") as found:
        return dict(found)


FREE = "is free, and only the batch may be"
FLOW = "control flow"
ODD: dict[str, tuple[Made, Made, str, str]] = {
    "free-image": (free_image(), free_image(32, 8), FREE, ""),
    "free-steps": (text("steps"), text("steps", 5), FREE, ""),
    "int64": (text(), text(), "", ""),
    "if": (branching(), branching(), FLOW, FLOW),
    "loop": (looping(), looping(), FLOW, FLOW),
    "scan": (scanning(), scanning(), FLOW, FLOW),
}
"""A model and its rows, rows of another size, and why TFLite and TVM refuse it if they do."""


OFTEN = ("int64", "if")
"""Tried with every change; the others take as long."""


@pytest.mark.parametrize(
    ("made", "other", "tflite", "tvm"),
    [
        pytest.param(*odd, id=name, marks=[] if name in OFTEN else pytest.mark.long)
        for name, odd in ODD.items()
    ],
)
def test_odd_model_is_compiled_where_it_can_be_and_refused_elsewhere(
    profile: HardwareProfile, tmp_path: Path, made: Made, other: Made, tflite: str, tvm: str
) -> None:
    model, rows = made
    onnx.save(model, tmp_path / "m.onnx")
    np.savez(tmp_path / "rows.npz", **rows(400))  # type: ignore[arg-type]  # arrays by name
    tokens = (*FULL, "tflite:fp32", *(["tvm:fp32"] if tvm else []))
    done = compile_model(
        tmp_path / "m.onnx", profile, tmp_path / "b",
        samples=tmp_path / "rows.npz", settings=settings_of(*tokens),
    )  # fmt: skip
    assert_unharmed(done, FULL if tflite else (*FULL, "tflite:fp32"))
    trials = trials_of(done)
    for token, why in (("tflite:fp32", tflite), ("tvm:fp32", tvm)):
        assert not why or (trials[token].status == "refused" and why in trials[token].reason)
    fed = other[1](1)
    found = answers(done.bundle, fed, tmp_path)
    wanted = onnxruntime.InferenceSession(model.SerializeToString()).run(None, fed)
    for name, answer in zip((one.name for one in model.graph.output), wanted, strict=True):
        assert np.allclose(found[name], answer, atol=1e-4)
