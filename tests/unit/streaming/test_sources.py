# SPDX-License-Identifier: Apache-2.0
"""What is each source's own; what all of them keep to is in tests/conformance/test_source.py."""

import builtins
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from insight_edge.bundle.npz import npz_from_arrays
from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import ConfigurationError, MissingError
from insight_edge.streaming.discovery import source_of
from insight_edge.streaming.feed import Feed
from tests.fakes.broker import cloud_login, kill, running_broker, stranger, until
from tests.fakes.opencv import Camera

SPECS = (TensorSpec(name="x", dtype="float32", shape=("batch", 2)),)


@pytest.fixture
def camera(monkeypatch: pytest.MonkeyPatch) -> Camera:
    camera = Camera()
    monkeypatch.setitem(sys.modules, "cv2", camera.module())
    return camera


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / f".{name}").write_bytes(name.encode())
        (folder / f".{name}").rename(folder / name)


def keys(feed: Feed, count: int) -> list[str]:
    found = []
    for _ in range(count):
        item = feed.take(10)
        assert item is not None
        found.append(item.key)
        item.over()
    return found


@pytest.mark.parametrize(
    ("after", "there"), [("keep", {"a", "b"}), ("delete", set()), ("move", {"done"})]
)
def test_what_becomes_of_files_that_are_over(tmp_path: Path, after: str, there: set[str]) -> None:
    coming, done = tmp_path / "in", tmp_path / "in" / "done"
    coming.mkdir()
    put(coming, "a", "b")
    words = after
    if after == "move":
        done.mkdir()
        words = f"move:{done}"
    source = source_of(f"folder:{coming}?poll=0.01&after={words}", SPECS)
    with Feed(source) as feed:
        assert keys(feed, 2) == ["a", "b"]
    assert {path.name for path in coming.iterdir()} == there
    assert after != "move" or {path.name for path in done.iterdir()} == {"a", "b"}


def test_file_that_still_grows_is_not_taken_in_parts(tmp_path: Path) -> None:
    def looks() -> Iterator[Any]:
        items = source_of(f"folder:{tmp_path}", SPECS).items(lambda _: None)
        while True:
            yield next(items)

    found = looks()
    growing = tmp_path / "growing"
    for part in range(3):
        growing.write_bytes(b"x" * (part + 1))
        assert next(found) is None
    item = next(found)
    assert (item.key, item.value) == ("growing", b"xxx")
    assert next(found) is None


def test_files_that_were_there_are_left_alone_where_that_is_wanted(tmp_path: Path) -> None:
    put(tmp_path, "old.png", "old.txt")
    source = source_of(f"folder:{tmp_path}?poll=0.01&old=skip&match=*.png", SPECS)
    with Feed(source) as feed:
        put(tmp_path, "new.txt", "new.png")
        assert keys(feed, 1) == ["new.png"]


def test_folder_that_goes_and_comes_back_is_read_on(tmp_path: Path) -> None:
    coming = tmp_path / "in"
    coming.mkdir()
    put(coming, "a")
    with Feed(source_of(f"folder:{coming}?poll=0.01", SPECS)) as feed:
        assert keys(feed, 1) == ["a"]
        shutil.rmtree(coming)
        until(lambda: feed.statistics.restarts > 0)
        coming.mkdir()
        put(coming, "b")
        assert keys(feed, 1) == ["b"]
        assert "No such file" in feed.statistics.error


def test_camera_that_is_pulled_out_is_opened_again_and_counts_on(camera: Camera) -> None:
    camera.frames = [np.zeros((2, 2, 3), np.uint8)] * 4
    with Feed(source_of("v4l2:/dev/video3?every=2&width=640&height=480", SPECS)) as feed:
        assert keys(feed, 2) == ["/dev/video3:0", "/dev/video3:2"]
        until(lambda: feed.statistics.restarts > 0)
        camera.frames = camera.frames * 2
        assert keys(feed, 2) == ["/dev/video3:4", "/dev/video3:6"]
    assert camera.size == {3: 640, 4: 480}
    assert camera.opened == camera.released


def test_camera_that_cannot_be_opened_is_tried_again(camera: Camera) -> None:
    camera.broken = True
    with Feed(source_of("v4l2:0", SPECS)) as feed:
        until(lambda: feed.statistics.restarts > 0)
        assert feed.statistics.error == "SourceError: video0: OpenCV cannot open it"
        camera.frames, camera.broken = [np.zeros((2, 2, 3), np.uint8)], False
        assert keys(feed, 1) == ["video0:0"]


@pytest.mark.usefixtures("camera")
def test_film_without_a_frame_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").touch()
    with (
        Feed(source_of(f"file:{tmp_path}/film.mp4", SPECS)) as feed,
        pytest.raises(ConfigurationError, match="no frame in it"),
    ):
        feed.take(10)


def test_opencv_is_asked_for_where_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "cv2":
            raise ImportError("No module named 'cv2'")
        return real(name, *rest)

    monkeypatch.delitem(sys.modules, "cv2", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    (tmp_path / "film.mp4").touch()
    for words in ("v4l2:0", f"file:{tmp_path}/film.mp4"):
        with pytest.raises(MissingError) as missing:
            source_of(words, SPECS)
        assert missing.value.hint == "pip install 'insight-edge[video]'"


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("rows.npz", npz_from_arrays({"y": np.zeros((2, 2))}), "input 'x' is missing, it holds y"),
        ("rows.npy", b"no array", "rows.npy: "),
        ("rows.csv", b"\xff\xfe", "rows.csv: "),
        ("sound.wav", b"RIFF", "no WAV file"),
    ],
)
def test_file_that_cannot_be_read_is_a_mistake_and_not_tried_for_ever(
    tmp_path: Path, name: str, content: bytes, told: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with (
        Feed(source_of(f"file:{tmp_path}/{name}", SPECS)) as feed,
        pytest.raises(ConfigurationError, match=told),
    ):
        feed.take(10)


def test_topic_is_read_on_where_the_broker_comes_back(tmp_path: Path) -> None:
    with running_broker(tmp_path) as broker:
        login = cloud_login(broker)
        (tmp_path / "secret").write_text(f"{login.password}\n")
        who = f"user={login.username}&password-file={tmp_path}/secret"
        words = f"mqtt:{login.host}:{login.port}/lines/+?{who}"
        with Feed(source_of(words, SPECS)) as feed:
            with stranger(login) as sender:
                came = None
                while came is None:  # until it has subscribed
                    sender.publish("lines/1", b"[1]")
                    came = feed.take(0.05)
            assert (came.key, came.value) == ("lines/1", b"[1]")
            kill(broker)
            until(lambda: feed.statistics.restarts > 0)
            broker.start()
            with stranger(login) as sender:
                came = None
                while came is None or came.value != b"[2]":
                    sender.publish("lines/2", b"[2]")
                    came = feed.take(0.05)
        assert feed.statistics.error.startswith("LinkError: ")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("camera:0", "no source 'camera'"),
        ("folder", "no source 'folder'"),
        ("folder:/nowhere", "no such folder"),
        ("file:/nowhere.csv", "no such file"),
        ("folder:/tmp?after=burn", "after=burn"),
        ("folder:/tmp?old=maybe", "old=maybe"),
        ("folder:/tmp?poll=often", "no number"),
        ("folder:/tmp?poll=0", "0.01 or more"),
        ("folder:/tmp?depth=2", "no option 'depth'"),
        ("mqtt:127.0.0.1", "mqtt:127.0.0.1"),
        ("mqtt:127.0.0.1:x/t", "mqtt:127.0.0.1:x/t"),
        ("mqtt:198.51.100.1/t", "no CA"),
        ("mqtt:127.0.0.1/t?password-file=/nowhere", "cannot be read"),
    ],
)
def test_mistake_is_a_line(words: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        source_of(words, SPECS)
