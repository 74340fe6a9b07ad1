# SPDX-License-Identifier: Apache-2.0
"""A kept cache is read back whole and for what it was kept, or not at all."""

import errno
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_edge.runtime import engine_cache
from insight_edge.runtime.engine_cache import CacheFile, forget_cache
from insight_edge.runtime.engines.tensorrt import runtime_config
from insight_edge.runtime.processor import processor_name

CACHE = bytes(range(200))
BOUND = ("openvino", "2026.4.1", "2 threads")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    CacheFile(tmp_path / "a.cache", BOUND).keep(CACHE)
    return tmp_path / "a.cache"


def read(path: Path) -> bytes | None:
    return CacheFile(path, BOUND).read()


def test_cache_is_read_back_and_is_ours_alone(path: Path) -> None:
    assert read(path) == CACHE
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["a.cache"]


@pytest.mark.parametrize("changed", range(len(BOUND)))
def test_cache_is_for_what_it_was_bound_to_alone(path: Path, changed: int) -> None:
    other = [*BOUND]
    other[changed] += "1"
    assert CacheFile(path, other).read() is None


@given(data=st.data())
def test_no_byte_may_differ_or_be_missing(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.cache"
    CacheFile(path, BOUND).keep(CACHE)
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    flipped = whole[at] ^ data.draw(st.integers(1, 255))
    for damaged in (whole[:at] + bytes([flipped]) + whole[at + 1 :], whole[:at], whole + b"x"):
        path.write_bytes(damaged)
        assert read(path) is None


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_cache_that_others_may_write_is_none(path: Path, mode: int) -> None:
    path.chmod(mode)
    assert read(path) is None


def test_cache_of_another_owner_is_none(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    assert read(path) is None


def test_links_pipes_and_folders_are_none(path: Path) -> None:
    link, pipe = path.with_name("link"), path.with_name("pipe")
    link.symlink_to(path)
    os.mkfifo(pipe)
    assert [read(each) for each in (link, pipe, path.parent)] == [None] * 3


def test_cache_of_more_than_the_bound_or_of_nothing_is_not_kept(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_cache, "MAX_BYTES", 300)
    for cache in (bytes(237), b""):
        CacheFile(path, BOUND).keep(cache)
        assert read(path) == CACHE
    CacheFile(path, BOUND).keep(bytes(236))
    assert read(path) == bytes(236)
    monkeypatch.setattr(engine_cache, "MAX_BYTES", 299)
    assert read(path) is None


def test_full_disk_keeps_what_was_there(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    CacheFile(path, BOUND).keep(b"another")
    monkeypatch.undo()
    assert read(path) == CACHE
    assert [each.name for each in path.parent.iterdir()] == ["a.cache"]


def test_what_a_crash_left_goes_with_the_next_cache(path: Path) -> None:
    path.with_name(".a.cache.0123abcd").write_bytes(b"half")
    CacheFile(path, BOUND).keep(b"another")
    assert [each.name for each in path.parent.iterdir()] == ["a.cache"]


def test_forgetting_says_whether_there_was_one(path: Path) -> None:
    assert [forget_cache(path), forget_cache(path)] == [True, False]


def test_processors_are_told_apart(tmp_path: Path) -> None:
    names: list[str] = []
    for place, model in (("x", "1"), ("y", "2"), ("z", "1")):
        (tmp_path / place / "proc").mkdir(parents=True)
        cpuinfo = f"processor : 0\nmodel : {model}\ncpu MHz : {len(names)}\nflags : avx2 fma\n"
        (tmp_path / place / "proc/cpuinfo").write_text(cpuinfo * 2)
        names.append(processor_name(tmp_path / place))
    assert names[0] == names[2] != names[1]


@pytest.mark.parametrize(("cache", "taken"), [(None, True), (b"ours", True), (b"other", False)])
def test_kernels_that_the_library_does_not_take_are_refused(
    cache: bytes | None, *, taken: bool
) -> None:
    kernels = SimpleNamespace(deserialize=lambda blob: blob == b"ours")
    config = SimpleNamespace(
        create_runtime_cache=lambda: kernels, set_runtime_cache=lambda cache: cache is kernels
    )
    plan = SimpleNamespace(create_runtime_config=lambda: config)
    if taken:
        assert runtime_config(plan, cache) is config
    else:
        with pytest.raises(ValueError, match="not for this machine"):
            runtime_config(plan, cache)


def test_flavour_that_compiles_nothing_keeps_nothing() -> None:
    full = SimpleNamespace(create_runtime_config=SimpleNamespace)
    assert runtime_config(full, None) is None
