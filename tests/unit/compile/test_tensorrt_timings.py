# SPDX-License-Identifier: Apache-2.0
"""Times of kernels: pinned by digest, lent to one build at a time, never torn."""

import threading
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_edge.compile.backends.tensorrt_timings import PIN, Timings
from insight_edge.documents.codec import digest


def timed(timings: Timings, more: bytes) -> tuple[bytes, str | None]:
    """Build once: return the times that were lent and the digest of those left."""
    with timings.lent() as lent:
        known = lent.file.read_bytes() if lent.file.exists() else b""
        lent.file.write_bytes(known + more)
    return known, lent.digest


@given(st.lists(st.binary(max_size=9), min_size=1, max_size=5))
def test_each_build_begins_with_what_the_last_pinned(
    tmp_path_factory: pytest.TempPathFactory, builds: list[bytes]
) -> None:
    timings = Timings(folder=tmp_path_factory.mktemp("t") / "new")
    for number, more in enumerate(builds):
        so_far = b"".join(builds[:number])
        assert timed(timings, more) == (so_far, digest(so_far + more))
    assert len(list(timings.folder.glob("*.timings"))) == 1


def test_build_that_fails_or_times_nothing_changes_no_pin(tmp_path: Path) -> None:
    timings = Timings(folder=tmp_path)
    timed(timings, b"good")
    with suppress(ZeroDivisionError), timings.lent() as lent:
        lent.file.write_bytes(b"half")
        raise ZeroDivisionError
    with Timings(folder=tmp_path / "other").lent() as lent:
        pass
    assert lent.digest is None
    assert timed(timings, b"") == (b"good", digest(b"good"))


@pytest.mark.parametrize("pin", ["sha256:" + "0" * 64, "../../etc/passwd", "\xff", ""])
def test_pin_of_nothing_means_timing_anew(tmp_path: Path, pin: str) -> None:
    timings = Timings(folder=tmp_path)
    timed(timings, b"good")
    (tmp_path / PIN).write_text(pin, encoding="latin-1")
    assert timed(timings, b"new") == (b"", digest(b"new"))


def test_damaged_times_are_told_and_not_lent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    timings = Timings(folder=tmp_path)
    timed(timings, b"good")
    next(tmp_path.glob("*.timings")).write_bytes(b"goof")
    assert timed(timings, b"new")[0] == b""
    assert "are damaged, timing anew" in capsys.readouterr().out


def test_builds_at_once_lose_nothing(tmp_path: Path) -> None:
    threads = [
        threading.Thread(target=timed, args=(Timings(folder=tmp_path), bytes([number])))
        for number in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    known, _ = timed(Timings(folder=tmp_path), b"")
    assert sorted(known) == list(range(16))
