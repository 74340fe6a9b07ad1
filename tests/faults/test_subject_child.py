# SPDX-License-Identifier: Apache-2.0
"""A subject's child that dies, hangs or lies is one error, and leaves nothing behind."""

import errno
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from insight_edge.bench.subject import SubjectProcess
from insight_edge.errors import (
    ConfigurationError,
    DigestMismatchError,
    DocumentError,
    EngineMissingError,
    InferenceFailedError,
    LoadFailedError,
    MeasurementError,
    StorageError,
    TensorMismatchError,
)
from tests.fakes import engine
from tests.fakes.engine_bundles import (
    COLUMNS,
    fake_artifact,
    install_fake_engine,
    rows_of,
    weights_of,
    write_engine_bundle,
    write_fake_bundle,
)

DEADLINE_S = 30
IMPATIENCE_S = 0.2
"""What a child that will never answer is given."""

FIRST_BLOCK_CALL = 5000
"""Warm-up ends within fewer calls; a longer block meets this one."""

Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def _places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("installed", "temporary"):
        (tmp_path / name).mkdir()
    install_fake_engine(tmp_path / "installed", monkeypatch)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    write_fake_bundle(tmp_path / "b")
    return tmp_path / "b"


@pytest.fixture
def misbehaving(tmp_path: Path) -> Write:
    """Write a bundle whose engine misbehaves in one call."""

    def write(do: str, at: int) -> Path:
        place = tmp_path / f"{do}-{at}"
        write_fake_bundle(place, {"do": do, "at": str(at)})
        return place

    return write


@pytest.fixture
def interpreter(tmp_path: Path) -> Write:
    """Write a program that is started instead of Python."""

    def write(*lines: str) -> Path:
        place = tmp_path / "python"
        place.write_text("\n".join(["#!/bin/sh", *lines, ""]))
        place.chmod(0o755)
        return place

    return write


def child_of(subject: SubjectProcess) -> int:
    assert subject._child is not None
    return subject._child.pid


def wait_for_end(pid: int) -> None:
    """Return once a process has ended; fail when it does not."""
    try:
        watched = os.pidfd_open(pid)
    except OSError as error:
        assert error.errno == errno.ESRCH  # noqa: PT017 (it has ended already)
        return
    ended = select.select([watched], [], [], DEADLINE_S)[0]
    os.close(watched)
    assert ended, f"process {pid} is still alive"


def test_child_killed_within_a_block_is_one_error_with_its_last_words(misbehaving: Write) -> None:
    with (
        SubjectProcess(misbehaving("die", FIRST_BLOCK_CALL)) as subject,
        pytest.raises(MeasurementError) as caught,
    ):
        subject.block(2 * FIRST_BLOCK_CALL)
    expected = f"die-{FIRST_BLOCK_CALL}/winner: the child ended, killed by signal 9: its last words"
    assert str(caught.value) == expected


def test_child_killed_between_orders_is_an_error_of_the_next(bundle: Path) -> None:
    with SubjectProcess(bundle) as subject:
        os.kill(child_of(subject), signal.SIGKILL)
        for _ in range(2):
            with pytest.raises(MeasurementError, match="killed by signal 9: it said nothing"):
                subject.block(5)


def test_child_killed_while_loading_is_one_error(misbehaving: Write) -> None:
    with pytest.raises(MeasurementError, match="killed by signal 9"):
        SubjectProcess(misbehaving("die", 0))


def test_child_that_hangs_in_a_block_is_given_up_and_killed(misbehaving: Write) -> None:
    with SubjectProcess(misbehaving("hang", FIRST_BLOCK_CALL)) as subject:
        pid = child_of(subject)
        subject.timeout_s = IMPATIENCE_S
        with pytest.raises(MeasurementError, match=r"no answer within 0.2 s") as caught:
            subject.block(2 * FIRST_BLOCK_CALL)
    assert caught.value.hint
    wait_for_end(pid)


def test_child_that_hangs_while_loading_is_killed(
    misbehaving: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []
    popen = subprocess.Popen

    def noting(*arguments: Any, **options: Any) -> Any:
        child = popen(*arguments, **options)
        started.append(child.pid)
        return child

    monkeypatch.setattr(subprocess, "Popen", noting)
    with pytest.raises(MeasurementError, match="no answer"):
        SubjectProcess(misbehaving("hang", 0), timeout_s=IMPATIENCE_S)
    wait_for_end(*started)
    assert not list((tmp_path / "temporary").iterdir())


def test_child_that_falls_silent_without_ending_is_not_waited_for_long(
    misbehaving: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("insight_edge.bench.subject.END_S", IMPATIENCE_S)
    with (
        SubjectProcess(misbehaving("fall silent", FIRST_BLOCK_CALL)) as subject,
        pytest.raises(MeasurementError, match="the child closed its standard output"),
    ):
        subject.block(2 * FIRST_BLOCK_CALL)


def test_child_that_exits_at_once_says_its_code_and_last_line(
    bundle: Path, interpreter: Write
) -> None:
    python = interpreter("echo first >&2", "echo 'No module named insight_edge' >&2", "exit 7")
    with pytest.raises(
        MeasurementError, match=r"ended, exit code 7: No module named insight_edge$"
    ):
        SubjectProcess(bundle, python=python)


@pytest.mark.parametrize(
    "said",
    [
        "hello",
        "[]",
        "{}",
        "17",
        '{"type":"loaded","load_ms":"fast"}',
        '{"type":"done"}',
        '{"type":"used","peak_rss_bytes":1,"switches":1,"clock_drop":null}',
    ],
)
def test_nonsense_on_stdout_is_quoted(said: str, bundle: Path, interpreter: Write) -> None:
    python = interpreter(f"echo '{said}'", "sleep 60")
    with pytest.raises(MeasurementError) as caught:
        SubjectProcess(bundle, python=python)
    assert f"the child said {said.encode()!r}" in str(caught.value)


def test_noise_without_end_is_cut_short(bundle: Path, interpreter: Write) -> None:
    python = interpreter("exec head -c 100000000 /dev/zero")
    with pytest.raises(MeasurementError, match="the child said"):
        SubjectProcess(bundle, python=python)


def test_refusal_of_an_unknown_kind_is_still_one_of_ours(bundle: Path, interpreter: Write) -> None:
    for kind in ("NoSuchError", "Sequence"):
        line = f'{{"type":"refused","kind":"{kind}","message":"m","hint":null}}'
        with pytest.raises(MeasurementError, match="m"):
            SubjectProcess(bundle, python=interpreter(f"echo '{line}'"))


def test_interpreter_that_is_not_there_is_the_callers_mistake(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be run: No such file"):
        SubjectProcess(bundle, python=tmp_path / "absent")


def test_what_an_engine_prints_is_no_reply(misbehaving: Write) -> None:
    with SubjectProcess(misbehaving("chatter", FIRST_BLOCK_CALL)) as subject:
        assert len(subject.block(2 * FIRST_BLOCK_CALL)) == 2 * FIRST_BLOCK_CALL


def test_failing_inference_is_one_line_and_the_child_lives_on(misbehaving: Write) -> None:
    with SubjectProcess(misbehaving("fail", FIRST_BLOCK_CALL)) as subject:
        with pytest.raises(InferenceFailedError) as caught:
            subject.block(2 * FIRST_BLOCK_CALL)
        assert str(caught.value).endswith(
            "the engine failed on a checked input: ArithmeticError: planted"
        )
        assert len(subject.block(5)) == 5


def test_failing_first_inference_is_one_line(misbehaving: Write) -> None:
    with pytest.raises(InferenceFailedError, match=r"ArithmeticError: planted$"):
        SubjectProcess(misbehaving("fail", 0))


def test_bundle_that_is_not_there_is_refused_as_on_the_device(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="nowhere"):
        SubjectProcess(tmp_path / "nowhere")


def test_damaged_bundle_is_refused_as_on_the_device(bundle: Path) -> None:
    artifact = bundle / "weights.npy"
    artifact.write_bytes(artifact.read_bytes()[:-1] + b"\0")
    with pytest.raises(DigestMismatchError) as caught:
        SubjectProcess(bundle)
    assert caught.value.hint == "copy or download the bundle again"


def test_variant_that_is_not_there_is_refused(bundle: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no variant 'other'"):
        SubjectProcess(bundle, variant="other")


def test_engine_that_is_not_there_is_refused(tmp_path: Path) -> None:
    weights = weights_of(0)
    write_engine_bundle(tmp_path / "b", "nobody", fake_artifact(weights), weights)
    with pytest.raises(EngineMissingError) as caught:
        SubjectProcess(tmp_path / "b")
    assert caught.value.hint == "pip install 'insight-edge[nobody]'"


def test_artifact_of_garbage_is_refused(tmp_path: Path) -> None:
    garbage = {"weights.npy": b"garbage"}
    write_engine_bundle(tmp_path / "b", engine.TOKEN, garbage, weights_of(0))
    with pytest.raises(LoadFailedError, match=r"fake did not load weights\.npy"):
        SubjectProcess(tmp_path / "b")


@pytest.mark.parametrize(
    "inputs",
    [
        {"x": rows_of(0, 3)["x"]},
        rows_of(0, 3, COLUMNS + 1),
        {name: array.astype("float64") for name, array in rows_of(0, 3).items()},
    ],
    ids=["missing", "wide", "float64"],
)
def test_rows_that_no_caller_could_pass_are_refused(bundle: Path, inputs: Any) -> None:
    with pytest.raises(TensorMismatchError):
        SubjectProcess(bundle, inputs=inputs)


def test_disk_too_full_for_the_rows_is_said(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StorageError, match="No space left"):
        SubjectProcess(bundle, inputs=rows_of(0, 3))
    assert not list((tmp_path / "temporary").iterdir())


def test_child_that_hangs_dies_with_its_parent(misbehaving: Write) -> None:
    code = (
        "import subprocess, sys; from pathlib import Path\n"
        "from insight_edge.bench.subject import SubjectProcess\n"
        "class Telling(subprocess.Popen):\n"
        "    def __init__(self, *arguments, **options):\n"
        "        super().__init__(*arguments, **options)\n"
        "        print(self.pid, flush=True)\n"
        "subprocess.Popen = Telling\n"
        "SubjectProcess(Path(sys.argv[1]))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, misbehaving("hang", 0)], stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    try:
        wait_for_end(child)
    finally:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def test_interrupt_while_the_child_is_started_leaves_none(
    bundle: Path, interpreter: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []

    class InterruptedPopen(subprocess.Popen[bytes]):
        """Its child runs, and nobody was given its number yet."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            started.append(self.pid)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(subprocess, "Popen", InterruptedPopen)
    with pytest.raises(KeyboardInterrupt):
        SubjectProcess(bundle, python=interpreter("sleep 1000"))
    assert len(started) == 1
    wait_for_end(started[0])
    assert list((tmp_path / "temporary").iterdir()) == []


def test_interrupt_while_closing_waits_until_nothing_is_left(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = SubjectProcess(bundle)
    pid = child_of(subject)
    kill = os.killpg

    def interrupted(group: int, number: int) -> None:
        signal.raise_signal(signal.SIGINT)
        kill(group, number)

    monkeypatch.setattr(os, "killpg", interrupted)
    with pytest.raises(KeyboardInterrupt):
        subject.close()
    wait_for_end(pid)
    assert list((tmp_path / "temporary").iterdir()) == []


def test_closing_ends_the_child_and_removes_its_files(bundle: Path, tmp_path: Path) -> None:
    subject = SubjectProcess(bundle)
    pid = child_of(subject)
    assert list((tmp_path / "temporary").iterdir())
    subject.close()
    subject.close()
    wait_for_end(pid)
    assert not list((tmp_path / "temporary").iterdir())
    with pytest.raises(ValueError, match="closed"):
        subject.block(5)


def test_descriptors_do_not_grow_with_subjects(bundle: Path, interpreter: Write) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 (iterdir would hold one)

    before = descriptors()
    for _ in range(3):
        with SubjectProcess(bundle) as subject:
            subject.block(5)
        with pytest.raises(MeasurementError):
            SubjectProcess(bundle, python=interpreter("exit 1"))
    assert descriptors() == before
