# SPDX-License-Identifier: Apache-2.0
"""The backend and the engine `tvm` together: tuned within a budget, resumed, proven, shipped."""

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import pytest
from msgspec.structs import replace
from onnx import helper

from insight_edge.bundle.open import open_bundle
from insight_edge.compile.backends.tvm import TvmBackend
from insight_edge.compile.building.build import build
from insight_edge.compile.building.outcome import Built, Failed
from insight_edge.compile.compiler import compile_model
from insight_edge.compile.job import BuildJob
from insight_edge.compile.profiles.reading import find_profile
from insight_edge.compile.settings import Settings
from insight_edge.compile.toolchains.toolchain import Toolchain
from insight_edge.documents.facts import Missing
from insight_edge.documents.profile import EngineSupport, HardwareProfile
from insight_edge.documents.target import target_from_token
from tests.fakes.device_packages import device_python
from tests.fakes.onnx_models import model_of, value, weights_of
from tests.fakes.tvm_models import tvm_answers, tvm_job

pytestmark = pytest.mark.slow

WIDTH = 512
TVM, ORT = target_from_token("tvm:fp32"), target_from_token("onnxruntime:fp32")
RECORDS = "*/*/database_tuning_record.json"

Build = Callable[[BuildJob, Path], Built]


@pytest.fixture(autouse=True)
def toolchain() -> Toolchain:
    found = TvmBackend().toolchain()
    if isinstance(found, Missing):
        pytest.skip(f"tvm: {found.reason}")
    if device_python("tvm") is None:
        pytest.skip("the environment 'device-tvm' is not installed")
    return found


@pytest.fixture
def built(toolchain: Toolchain) -> Build:
    def build_job(job: BuildJob, directory: Path) -> Built:
        outcome = build(job, directory, python=toolchain.python)
        assert isinstance(outcome, Built), outcome
        return outcome

    return build_job


@pytest.fixture
def profile(here: Path) -> HardwareProfile:
    """Return the profile of this very machine, which allows TVM besides what it detected."""
    found = find_profile(str(here))
    return replace(found, engines=found.engines | {"tvm": EngineSupport(precisions=("fp32",))})


def dense_model(*widths: int) -> bytes:
    """Return dense layers of these widths, with a ReLU after each: one kernel a layer."""
    names = [f"t{index}" for index in range(len(widths))]
    weights = weights_of(0, **{
        f"w{index}": (widths[index + 1], widths[index]) for index in range(len(widths) - 1)
    })  # fmt: skip
    nodes = []
    for index in range(len(widths) - 1):
        product = f"p{index}"
        nodes += [
            helper.make_node("Gemm", [names[index], f"w{index}"], [product], transB=1),
            helper.make_node("Relu", [product], [names[index + 1]]),
        ]
    taken = value(names[0], ("batch", widths[0]))
    given = value(names[-1], ("batch", widths[-1]))
    model: bytes = model_of(nodes, [taken], [given], weights).SerializeToString()
    return model


_TIME = """
import json, sys, time
from pathlib import Path
import numpy as np
from insight_edge.runtime.engines.tvm import open_library
rows = {"t0": np.ones((1, int(sys.argv[1])), np.float32)}
sessions = [
    open_library(Path(path), [Path(path).with_name("libtvm_runtime.so")], (["t0"], ["t1"]), {},
                 threads=1)
    for path in sys.argv[2:]
]
best = [float("inf")] * len(sessions)
for _ in range(40):
    for place, session in enumerate(sessions):
        began = time.perf_counter()
        for _ in range(20):
            session.infer(rows)
        best[place] = min(best[place], time.perf_counter() - began)
print(json.dumps(best))
"""


def seconds_of(*artifacts: Built) -> list[float]:
    """Return the best time of each, interleaved, in the device's environment."""
    entries = [str(one.directory / one.artifact.entry) for one in artifacts]
    done = subprocess.run(
        [str(device_python("tvm")), "-c", _TIME, str(WIDTH), *entries],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    seconds: list[float] = json.loads(done.stdout)
    return seconds


_THREADS = """
import json, os, sys
from pathlib import Path
import numpy as np
from insight_edge.runtime.engines.tvm import open_library
from insight_edge.runtime.processor import usable_threads

path = Path(sys.argv[1])
carried = [path.with_name("libtvm_runtime.so")]
rows = {"t0": np.ones((1, int(sys.argv[2])), np.float32)}

def busy():
    tasks = Path("/proc/self/task").iterdir()
    return {task.name: int((task / "schedstat").read_text().split()[0]) for task in tasks}

def workers(threads):
    session = open_library(path, carried, (["t0"], ["t1"]), {}, threads=threads)
    session.infer(rows)
    before = busy()
    for _ in range(2000):
        session.infer(rows)
    session.close()
    gained = [after - before.get(task, 0) for task, after in busy().items()]
    return sum(own > 0.02 * sum(gained) for own in gained)

affinity = os.sched_getaffinity(0)
found = [workers(1), workers(2), workers(1), workers(2)]
print(json.dumps([found, usable_threads(), affinity == os.sched_getaffinity(0)]))
"""


def assert_threads_are_bounded_by_session(artifact: Built) -> None:
    """Ask parallel code with one thread and with two, in turns, from one caller."""
    entry = str(artifact.directory / artifact.artifact.entry)
    done = subprocess.run(
        [str(device_python("tvm")), "-c", _THREADS, entry, str(WIDTH)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found, usable, unpinned = json.loads(done.stdout)
    assert (found[0], found[2]) == (1, 1)
    assert max(found) <= min(2, usable)
    assert unpinned


def test_kernel_that_takes_a_bare_number_is_built(built: Build, tmp_path: Path) -> None:
    """As attention masks are made: of the very sizes of what is masked."""
    nodes = [
        helper.make_node("Shape", ["x"], ["sizes"]),
        helper.make_node("Cast", ["sizes"], ["numbers"], to=onnx.TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["numbers"], ["sum"], keepdims=1),
        helper.make_node("Add", ["x", "sum"], ["y"]),
    ]
    free = ("batch", "steps")
    model = model_of(nodes, [value("x", free)], [value("y", free)]).SerializeToString()
    job = replace(tvm_job(model, tmp_path), shared=str(tmp_path / "kept"))
    artifact = built(job, tmp_path / "b")
    rows = {"x": np.zeros((2, 3), np.float32)}
    entry = artifact.directory / artifact.artifact.entry
    found = tvm_answers(entry, artifact.artifact.settings, rows, ["y"])
    np.testing.assert_array_equal(found["y"], np.full((2, 3), 5, np.float32))


def test_kernel_that_the_frontend_writes_itself_is_built_for_one_row(
    built: Build, tmp_path: Path
) -> None:
    """As it does of Clip, whose bounds are tensors: the ReLU6 of every MobileNet."""
    bounds = {"low": np.array(0, np.float32), "high": np.array(6, np.float32)}
    nodes = [helper.make_node("Clip", ["x", "low", "high"], ["y"])]
    free = ("batch", 3)
    model = model_of(nodes, [value("x", free)], [value("y", free)], bounds).SerializeToString()
    job = replace(tvm_job(model, tmp_path), shared=str(tmp_path / "kept"))
    artifact = built(job, tmp_path / "b")
    entry = artifact.directory / artifact.artifact.entry
    for rows in (1, 2):
        given = {"x": np.linspace(-9, 9, rows * 3, dtype=np.float32).reshape(rows, 3)}
        found = tvm_answers(entry, artifact.artifact.settings, given, ["y"])
        np.testing.assert_array_equal(found["y"], given["x"].clip(0, 6))


def test_positions_of_a_free_length_are_built(built: Build, tmp_path: Path) -> None:
    """As transformers add them: what follows has to know its sizes still."""
    nodes = [
        helper.make_node("Shape", ["x"], ["steps"], start=1, end=2),
        helper.make_node("Squeeze", ["steps"], ["length"]),
        helper.make_node("Range", ["start", "length", "step"], ["places"]),
        helper.make_node("Gather", ["table", "places"], ["positions"]),
        helper.make_node("Add", ["x", "positions"], ["moved"]),
        helper.make_node("Reshape", ["moved", "parted"], ["y"]),
    ]
    table = weights_of(0, table=(9, 4))
    shapes = [("batch", "steps", 4), ("batch", "steps", 2, 2)]
    model = model_of(nodes, [value("x", shapes[0])], [value("y", shapes[1])], table)
    for name, numbers in {"start": 0, "step": 1, "parted": [0, -1, 2, 2]}.items():
        array = np.array(numbers, np.int64)
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    job = replace(tvm_job(model.SerializeToString(), tmp_path), shared=str(tmp_path / "kept"))
    artifact = built(job, tmp_path / "b")
    rows = {"x": np.ones((2, 5, 4), np.float32)}
    entry = artifact.directory / artifact.artifact.entry
    found = tvm_answers(entry, artifact.artifact.settings, rows, ["y"])
    wanted = (rows["x"] + table["table"][:5]).reshape(2, 5, 2, 2)
    np.testing.assert_allclose(found["y"], wanted, rtol=1e-6)


@pytest.mark.long
def test_tuned_code_is_faster_than_untuned_and_right(built: Build, tmp_path: Path) -> None:
    model = dense_model(WIDTH, WIDTH)
    plain = built(tvm_job(model, tmp_path), tmp_path / "plain")
    assert plain.artifact.unfinished.startswith("0 of 1 kernels are tuned")
    job = replace(tvm_job(model, tmp_path, tuning_s=15.0), shared=str(tmp_path / "shared"))
    tuned = built(job, tmp_path / "tuned")
    assert (tuned.artifact.settings["tuned"], tuned.artifact.unfinished) == ("1/1", "")
    assert "tuned 1/1 kernels" in tuned.log
    untuned_s, tuned_s = seconds_of(plain, tuned)
    assert tuned_s < 0.7 * untuned_s
    assert_threads_are_bounded_by_session(tuned)
    rows = {"t0": np.random.default_rng(0).normal(size=(5, WIDTH)).astype(np.float32)}
    answers = [
        tvm_answers(one.directory / one.artifact.entry, {}, rows, ["t1"])["t1"]
        for one in (plain, tuned)
    ]
    np.testing.assert_allclose(answers[1], answers[0], atol=1e-4)


@contextmanager
def stopped_at_first_record(store: Path) -> Iterator[threading.Event]:
    """Give an event that is set as soon as something is recorded in the store."""
    stop, over = threading.Event(), threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            if any(path.stat().st_size for path in store.glob(RECORDS)):
                stop.set()
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield stop
    finally:
        over.set()
        watcher.join()


@pytest.mark.long
def test_killed_tuning_goes_on_where_it_was(
    built: Build, toolchain: Toolchain, tmp_path: Path
) -> None:
    store = tmp_path / "shared"
    job = replace(tvm_job(dense_model(64, 48, 32), tmp_path, tuning_s=600.0), shared=str(store))
    with stopped_at_first_record(store) as stop:
        killed = build(job, tmp_path / "killed", python=toolchain.python, stop=stop)
    assert isinstance(killed, Failed)
    assert killed.reason == "stopped"
    (record,) = [path for path in store.glob(RECORDS) if path.stat().st_size]
    kept = record.read_text()
    with record.open("a") as file:
        file.write('[0, [[[["torn')  # what a power cut leaves of a line
    untuned = replace(job, target=TVM)
    after = built(untuned, tmp_path / "after")
    assert after.artifact.settings["tuned"] == "1/2"
    assert record.read_text() == kept[: kept.rfind("\n") + 1]
    short = replace(job, target=replace(TVM, options={"tuning_s": 1.0}))
    whole = built(short, tmp_path / "whole")
    assert (whole.artifact.settings["tuned"], whole.artifact.unfinished) == ("2/2", "")
    assert record.read_text().startswith(kept[: kept.rfind("\n") + 1])


def test_trained_net_is_proven_and_measured_and_untuned_not_shipped(
    trained: Path, profile: HardwareProfile, tmp_path: Path
) -> None:
    done = compile_model(
        trained / "model.onnx",
        profile,
        tmp_path / "b",
        samples=trained / "data.npz",
        settings=Settings(only=(TVM, ORT), rounds=5, max_drop_pp=5.0),
    )
    trials = {trial.target.token: trial for trial in done.evidence.trials}
    tvm = trials["tvm:fp32"]
    assert tvm.proof is not None
    assert tvm.proof.verdict == "PROVEN", tvm.proof
    assert tvm.measurement is not None
    assert (tvm.chosen, trials["onnxruntime:fp32"].chosen) == (False, True)
    assert "kernels are tuned" in tvm.reason
    assert "apache-tvm-ffi" in done.evidence.environment["tvm"]


@pytest.mark.long
def test_tuned_net_is_shipped_and_runs_where_there_is_only_the_runtime(
    profile: HardwareProfile, tmp_path: Path
) -> None:
    (tmp_path / "m.onnx").write_bytes(dense_model(64, 10))
    onnx.checker.check_model(str(tmp_path / "m.onnx"))
    rows = np.random.default_rng(0).normal(size=(400, 64)).astype(np.float32)
    np.savez(tmp_path / "rows.npz", t0=rows)
    settings = Settings(only=(TVM,), rounds=5, tuning_s=5.0, cache=tmp_path / "cache")
    done = compile_model(
        tmp_path / "m.onnx", profile, tmp_path / "b", samples=tmp_path / "rows.npz",
        settings=settings,
    )  # fmt: skip
    (trial,) = done.evidence.trials
    assert trial.chosen
    assert trial.target.options == {"tuning_s": 5.0}
    assert "--tuning 5" in trial.reproduce
    (variant,) = open_bundle(done.bundle, allow_unsigned=True).manifest.variants
    assert {file.path for file in variant.files} == {"tvm-fp32.so", "libtvm_runtime.so"}
    code = (
        "import sys; from insight_edge.runtime import Runtime; import numpy as np\n"
        "runtime = Runtime.open(sys.argv[1], allow_unsigned=True)\n"
        "print(runtime.infer({'t0': np.load(sys.argv[2])['t0'][:3]}).outputs['t1'].shape)\n"
        "runtime.close(); sys.exit('tvm' in sys.modules)\n"
    )
    asked = [str(device_python("tvm")), "-c", code, str(done.bundle), str(tmp_path / "rows.npz")]
    found = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (0, "(3, 10)\n", "")
