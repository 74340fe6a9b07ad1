# SPDX-License-Identifier: Apache-2.0
"""What every engine must do, whoever wrote it: right answers, its caller's own, and no trace."""

import gc
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from insight_edge.bundle.open import open_bundle
from insight_edge.documents.facts import EngineFacts, Missing
from insight_edge.documents.versions import satisfies
from insight_edge.errors import (
    InferenceFailedError,
    InsightEdgeError,
    LoadFailedError,
    SelfCheckError,
)
from insight_edge.runtime.child.session import load_isolated
from insight_edge.runtime.engine_cache import Caching
from insight_edge.runtime.infer import Runtime
from insight_edge.runtime.insides import Revealing
from insight_edge.runtime.isolation import Isolation
from insight_edge.runtime.loading import GROUP, engine_facts, engines, load_session
from insight_edge.runtime.pipeline import Pipeline
from insight_edge.runtime.seam import Session
from insight_edge.runtime.signal_stack import signal_stack
from tests.conformance.conftest import COPYING
from tests.fakes import engine
from tests.fakes.device_packages import borrow_engine
from tests.fakes.engine_bundles import (
    COLUMNS,
    install_fake_engine,
    rows_of,
    weights_of,
    write_engine_bundle,
)

Array = NDArray[Any]
Files = dict[str, bytes]
Make = Callable[[Array], Files]
Load = Callable[..., Session]
TOKENS = sorted({engine.TOKEN, *(point.name for point in entry_points(group=GROUP))})
WIDE = 8192
CLOSED = ValueError, "the runtime is closed"
ENOUGH_NS = 50_000_000


@pytest.fixture(params=TOKENS)
def token(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    place = tmp_path / "installed"
    place.mkdir()
    install_fake_engine(place, monkeypatch)
    found: str = request.param
    if isinstance(engine_facts()[found], Missing):
        borrow_engine(found, monkeypatch)
    facts = engine_facts()[found]
    if isinstance(facts, Missing):
        pytest.skip(f"{found}: {facts.reason}")
    return found


@pytest.fixture
def make(token: str, factories: dict[str, Make]) -> Make:
    assert token in factories, f"tests/conformance/conftest.py has no artifact for {token}"
    return factories[token]


@pytest.fixture(params=["here", pytest.param("child", marks=pytest.mark.long)])
def loader(request: pytest.FixtureRequest) -> Load:
    """Return what loads a variant, in this process or in one of its own."""
    isolated: Load = partial(load_isolated, isolation=Isolation())
    return load_session if request.param == "here" else isolated


@pytest.fixture
def load(token: str, make: Make, loader: Load, tmp_path: Path) -> Iterator[Load]:
    """Load an artifact of some weights as the device does; closed in the end."""
    live: list[Session] = []

    def load_weights(weights: Array, *, threads: int = 1) -> Session:
        place = tmp_path / f"bundle-{len(live)}"
        write_engine_bundle(place, token, make(weights), weights)
        bundle = open_bundle(place, allow_unsigned=True)
        live.append(loader(bundle, bundle.variant(), threads=threads))
        return live[-1]

    yield load_weights
    for session in live:
        session.close()


@pytest.fixture
def session(load: Load) -> Session:
    return load(weights_of(0))


def assert_answers(found: dict[str, Array], inputs: dict[str, Array], weights: Array) -> None:
    expected = engine.answers(inputs, weights)
    np.testing.assert_allclose(found["y"], expected["y"], atol=1e-5)
    np.testing.assert_array_equal(found["top"], expected["top"])


def process_of(session: Session) -> int:
    """Return the process that the engine runs in."""
    found: int = getattr(session, "pid", os.getpid())
    return found


def count_of(kind: str) -> int:
    """Return how many descriptors (`fd`) or threads (`task`) this process has."""
    return len(list(Path("/proc/self", kind).iterdir()))


def memory_bytes(file: str, key: str) -> int:
    """Return a line of what the kernel says of this process's memory."""
    found = re.search(rf"^{key}:\s+(\d+) kB", Path("/proc/self", file).read_text(), re.MULTILINE)
    assert found, key
    return int(found[1]) * 1024


def kept_bytes() -> int:
    """Return the memory that is in no file, counted page by page."""
    return memory_bytes("smaps_rollup", "Anonymous")


def busy_ns(pid: int) -> dict[str, int]:
    """Return the time that each thread of a process has run."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return {task.name: int((task / "schedstat").read_text().split()[0]) for task in tasks}


def in_child(code: str, argument: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code, argument], capture_output=True, text=True, check=False
    )


def test_facts_carry_its_token_and_a_version(token: str) -> None:
    facts = engine_facts()[token]
    assert isinstance(facts, EngineFacts)
    assert facts.name == token
    assert satisfies(facts.version, ">0")


def test_facts_neither_import_the_library_nor_print(token: str) -> None:
    code = (
        "import sys; from insight_edge.runtime.loading import engine_facts\n"
        "engine_facts(); sys.exit(sys.argv[1] in sys.modules)"
    )
    done = in_child(code, token)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_loading_calls_nobody_and_starts_nothing(token: str, make: Make, tmp_path: Path) -> None:
    write_engine_bundle(tmp_path / "b", token, make(weights_of(0)), weights_of(0))
    code = (
        "import os, sys\n"
        "FOREIGN = {'socket.connect', 'socket.getaddrinfo', 'os.fork', 'os.posix_spawn',"
        " 'subprocess.Popen'}\n"
        "def refuse(event, arguments):\n"
        "    if event in FOREIGN:\n"
        "        os.write(2, event.encode())\n"
        "        os._exit(9)\n"
        "sys.addaudithook(refuse)\n"
        "from insight_edge.bundle.open import open_bundle\n"
        "from insight_edge.runtime.loading import load_session\n"
        "bundle = open_bundle(sys.argv[1], allow_unsigned=True)\n"
        "session = load_session(bundle, bundle.variant(), threads=1)\n"
        "session.infer(bundle.golden().inputs)\n"
        "session.close()\n"
    )
    done = in_child(code, str(tmp_path / "b"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_loading_and_inferring_print_nothing(load: Load, capfd: pytest.CaptureFixture[str]) -> None:
    load(weights_of(0)).infer(rows_of(1, 2))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("batch", [1, 3, 17])
def test_answers_have_the_names_dtypes_and_values_of_the_model(
    session: Session, batch: int
) -> None:
    inputs = rows_of(batch, batch)
    found = session.infer(inputs)
    assert {name: (a.dtype.name, a.shape) for name, a in found.items()} == {
        "y": ("float32", (batch, 4)),
        "top": ("int64", (batch, 1)),
    }
    assert_answers(found, inputs, weights_of(0))


def test_batch_may_change_from_call_to_call(session: Session) -> None:
    for batch in (4, 1, 9, 4, 1):
        inputs = rows_of(batch, batch)
        assert_answers(session.infer(inputs), inputs, weights_of(0))


def test_same_input_gives_the_same_bits(session: Session) -> None:
    inputs = rows_of(1, 5)
    first = session.infer(inputs)
    for _ in range(20):
        again = session.infer(inputs)
        assert all(np.array_equal(first[name], again[name]) for name in first)


def test_later_calls_do_not_change_earlier_answers(session: Session) -> None:
    asked = [rows_of(seed, 3) for seed in range(8)]
    found = [session.infer(inputs) for inputs in asked]
    for inputs, answer in zip(asked, found, strict=True):
        assert_answers(answer, inputs, weights_of(0))


def test_caller_may_write_to_its_answers(session: Session) -> None:
    inputs = rows_of(1, 3)
    session.infer(inputs)["y"][:] = np.nan
    assert_answers(session.infer(inputs), inputs, weights_of(0))


def test_inputs_are_read_again_at_every_call_and_left_alone(session: Session) -> None:
    inputs = rows_of(1, 3)
    before = {name: array.copy() for name, array in inputs.items()}
    session.infer(inputs)
    assert all(np.array_equal(inputs[name], before[name]) for name in inputs)
    inputs["x"] *= -1
    assert_answers(session.infer(inputs), inputs, weights_of(0))


def test_inputs_may_be_read_only_strided_or_in_column_order(session: Session) -> None:
    rows = rows_of(1, 12)
    frozen = {name: array.copy() for name, array in rows.items()}
    for array in frozen.values():
        array.flags.writeable = False
    strided = {name: array[::-2] for name, array in rows.items()}
    columns = {name: np.asfortranarray(array) for name, array in rows.items()}
    for inputs in (frozen, strided, columns):
        assert_answers(session.infer(inputs), inputs, weights_of(0))


def test_threads_inside_at_once_get_their_own_answers(session: Session) -> None:
    start, wrong = threading.Barrier(8), []

    def call(seed: int) -> None:
        inputs = rows_of(seed, seed + 1)
        start.wait()
        try:
            for _ in range(50):
                assert_answers(session.infer(inputs), inputs, weights_of(0))
        except BaseException as error:  # noqa: BLE001 (a thread's failure is this test's)
            wrong.append(error)

    callers = [threading.Thread(target=call, args=(seed,)) for seed in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong


def test_sessions_at_once_do_not_mix(load: Load) -> None:
    first, second = load(weights_of(1)), load(weights_of(2))
    inputs = rows_of(3, 4)
    for _ in range(5):
        assert_answers(first.infer(inputs), inputs, weights_of(1))
        assert_answers(second.infer(inputs), inputs, weights_of(2))


def test_slot_that_is_written_anew_answers_anew(token: str, make: Make, tmp_path: Path) -> None:
    inputs = rows_of(3, 4)
    for seed in (1, 2, 1):
        write_engine_bundle(tmp_path / "slot", token, make(weights_of(seed)), weights_of(seed))
        bundle = open_bundle(tmp_path / "slot", allow_unsigned=True)
        session = load_session(bundle, bundle.variant(), threads=1)
        assert_answers(session.infer(inputs), inputs, weights_of(seed))
        session.close()


def test_closing_a_session_leaves_others_alone(
    token: str, make: Make, load: Load, tmp_path: Path
) -> None:
    kept, inputs = load(weights_of(1)), rows_of(3, 4)
    write_engine_bundle(tmp_path / "closed", token, make(weights_of(2)), weights_of(2))
    bundle = open_bundle(tmp_path / "closed", allow_unsigned=True)
    closed = load_session(bundle, bundle.variant(), threads=1)
    answer = closed.infer(inputs)
    closed.close()
    assert_answers(answer, inputs, weights_of(2))
    assert_answers(kept.infer(inputs), inputs, weights_of(1))


@pytest.mark.parametrize("threads", [1, 2])
def test_no_more_threads_work_than_were_asked_for(load: Load, threads: int) -> None:
    session = load(weights_of(0, 512, 512), threads=threads)
    inputs = rows_of(1, 128, 512)
    session.infer(inputs)
    pid = process_of(session)
    before, gained = busy_ns(pid), [0]
    # The kernel counts at its ticks, which a fast engine may fall between.
    while sum(gained) < ENOUGH_NS:
        for _ in range(10):
            session.infer(inputs)
        gained = [after - before.get(task, 0) for task, after in busy_ns(pid).items()]
    assert 1 <= sum(own > 0.05 * sum(gained) for own in gained) <= threads


def test_thread_keeps_its_signal_stack_over_loads_and_closes(
    token: str, make: Make, tmp_path: Path
) -> None:
    write_engine_bundle(tmp_path / "b", token, make(weights_of(0)), weights_of(0))
    bundle = open_bundle(tmp_path / "b", allow_unsigned=True)
    stacks = [signal_stack()]
    first = load_session(bundle, bundle.variant(), threads=1)
    second = load_session(bundle, bundle.variant(), threads=1)
    for session in (first, second):  # a swap closes the older one first
        session.infer(rows_of(1, 1))
        stacks.append(signal_stack())
        session.close()
        gc.collect()
        stacks.append(signal_stack())
    assert len(set(stacks)) == 1


def test_what_was_compiled_answers_as_its_artifact(token: str, make: Make, tmp_path: Path) -> None:
    caching = engines(token)[token]
    if not isinstance(caching, Caching):
        pytest.skip(f"{token} compiles nothing when it loads")
    write_engine_bundle(tmp_path / "b", token, make(weights_of(0)), weights_of(0))
    bundle = open_bundle(tmp_path / "b", allow_unsigned=True)
    cache = None
    for _ in range(3):
        session = caching.load_cached(bundle, bundle.variant(), cache, threads=1)
        for batch in (3, 1, 17):
            inputs = rows_of(batch, batch)
            assert_answers(session.infer(inputs), inputs, weights_of(0))
        cache = cache or session.cache()
        session.close()
    assert cache


def test_engine_that_tells_what_it_executes_tells_all_of_it(
    token: str, make: Make, tmp_path: Path
) -> None:
    revealing = engines(token)[token]
    if not isinstance(revealing, Revealing):
        pytest.skip(f"{token} does not tell what it executes")
    write_engine_bundle(tmp_path / "b", token, make(weights_of(0)), weights_of(0))
    bundle = open_bundle(tmp_path / "b", allow_unsigned=True)
    layers = revealing.layers(bundle, bundle.variant(), rows_of(0, 1))
    assert len(layers) > 1
    assert all(layer.op and layer.placement for layer in layers)


@pytest.mark.parametrize(
    ("loads", "each_bytes"), [(50, 10_000), pytest.param(1000, 1_000, marks=pytest.mark.long)]
)
def test_loads_leave_no_descriptor_no_thread_and_no_memory(
    token: str, make: Make, tmp_path: Path, loads: int, each_bytes: int
) -> None:
    write_engine_bundle(tmp_path / "b", token, make(weights_of(0)), weights_of(0))
    bundle = open_bundle(tmp_path / "b", allow_unsigned=True)

    def load_and_close(times: int) -> tuple[int, int, int]:
        for _ in range(times):
            session = load_session(bundle, bundle.variant(), threads=2)
            session.infer(rows_of(1, 1))
            session.close()
        gc.collect()
        return count_of("fd"), count_of("task"), kept_bytes()

    *before, warm = load_and_close(5)
    *_, half = load_and_close(loads // 2)
    *after, whole = load_and_close(loads // 2)
    assert after == before
    # The interpreter takes memory by the megabyte: in one half, where nothing is left behind.
    assert min(half - warm, whole - half) <= each_bytes * loads // 2


def test_inputs_are_read_where_they_lie_or_the_engine_is_known_to_copy(
    token: str, loader: Load, load: Load
) -> None:
    session, inputs = load(weights_of(0, WIDE, 2)), rows_of(1, 1024, WIDE)
    session.infer(rows_of(1, 2, WIDE))
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
    before = memory_bytes("status", "VmRSS")
    session.infer(inputs)
    copied = memory_bytes("status", "VmHWM") - before >= inputs["x"].nbytes // 2
    assert copied == (loader is not load_session or token in COPYING)


def test_answers_lie_in_memory_that_no_other_call_uses(session: Session) -> None:
    answers = [session.infer(rows_of(seed, 3)) for seed in range(8)]
    arrays = [array for answer in answers for array in answer.values()]
    for index, array in enumerate(arrays):
        assert not any(np.may_share_memory(array, other) for other in arrays[:index])


def test_closing_under_load_answers_rightly_or_says_that_it_is_closed(
    token: str, make: Make, tmp_path: Path
) -> None:
    write_engine_bundle(tmp_path / "b", token, make(weights_of(0)), weights_of(0))
    runtime = Runtime.open(tmp_path / "b", allow_unsigned=True, threads=1)
    inside, ended = threading.Semaphore(0), []

    def call(seed: int) -> None:
        inputs = rows_of(seed, seed + 1)
        try:
            while True:
                assert_answers(dict(runtime.infer(inputs).outputs), inputs, weights_of(0))
                inside.release()
        except BaseException as error:  # noqa: BLE001 (judged below, in the test's own thread)
            ended.append(error)

    callers = [threading.Thread(target=call, args=(seed,)) for seed in range(4)]
    for caller in callers:
        caller.start()
    for _ in range(40):
        inside.acquire()
    runtime.close()
    for caller in callers:
        caller.join()
    assert [(type(error), str(error)) for error in ended] == [CLOSED] * 4


def test_artifact_of_garbage_is_one_error_of_ours(token: str, make: Make, tmp_path: Path) -> None:
    entry, *rest = make(weights_of(0))
    garbage = {entry: b"\x00garbage" * 20} | dict.fromkeys(rest, b"garbage")
    write_engine_bundle(tmp_path / "b", token, garbage, weights_of(0))
    bundle = open_bundle(tmp_path / "b", allow_unsigned=True)
    with pytest.raises(LoadFailedError) as caught:
        load_session(bundle, bundle.variant(), threads=1)
    assert not isinstance(caught.value.__cause__, InsightEdgeError | None)
    assert "\n" not in str(caught.value)
    assert token in str(caught.value)


@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_answer_of_another_type_than_the_manifest_says_is_found_before_it_serves(
    token: str, make: Make, tmp_path: Path, dtype: str
) -> None:
    write_engine_bundle(
        tmp_path / "b", token, make(weights_of(0)), weights_of(0), dtypes={"top": dtype}
    )
    with pytest.raises((SelfCheckError, LoadFailedError), match=f"'top' is int64.*{dtype}"):
        Runtime.open(tmp_path / "b", allow_unsigned=True, threads=1)


def test_failed_inference_is_one_error_of_ours_and_the_next_succeeds(
    session: Session, tmp_path: Path
) -> None:
    manifest = open_bundle(tmp_path / "bundle-0", allow_unsigned=True).manifest
    pipeline = Pipeline(manifest, session)
    narrow = rows_of(1, 2, COLUMNS - 1)
    for _ in range(3):
        with pytest.raises(InferenceFailedError):
            pipeline.answer(narrow)
    inputs = rows_of(2, 2)
    assert_answers(pipeline.answer(inputs)[1], inputs, weights_of(0))
