# SPDX-License-Identifier: Apache-2.0
"""What every source keeps to: order, counts, an end under load, and memory that does not grow.

A stand hands a source rows to read, by number; what is read must be these, in their order.
"""

import json
import sys
import threading
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from insight_edge.documents.tensors import TensorSpec
from insight_edge.runtime.installed import plugins
from insight_edge.streaming.buffer import POLICIES, Ended, Policy
from insight_edge.streaming.discovery import GROUP, source_of
from insight_edge.streaming.feed import Feed
from insight_edge.streaming.inputs import inputs_of
from insight_edge.streaming.seam import Source
from tests.fakes.broker import cloud_login, running_broker, stranger, until
from tests.fakes.opencv import Camera

ROWS, COLUMNS = 24, 8
CAPACITY = 4

VECTOR = (TensorSpec(name="x", dtype="float32", shape=("batch", COLUMNS)),)
PICTURE = (TensorSpec(name="x", dtype="uint8", shape=("batch", 16, 16, 3)),)
WINDOW = (TensorSpec(name="x", dtype="float32", shape=("batch", COLUMNS)),)

STEP = 8
"""Frames differ by so many shades: a codec that loses some keeps them apart."""


class Stand(NamedTuple):
    """A source to try.

    Attributes:
        words: it is asked for by.
        number: of a row, from what the bundle would get.
        write: makes rows 0 to `ROWS` available; called after the source is read from.
    """

    words: str
    inputs: tuple[TensorSpec, ...]
    number: Callable[[Any], int]
    write: Callable[[], object] = lambda: None

    def source(self) -> Source:
        return source_of(self.words, self.inputs)


def first(inputs: Any) -> int:
    return int(inputs["x"].flat[0])


def shade(inputs: Any) -> int:
    return round(float(inputs["x"].mean()) / STEP)


def picture(number: int) -> Any:
    return np.full((16, 16, 3), number * STEP, np.uint8)


def row(number: int) -> list[float]:
    return [float(number)] * COLUMNS


def folder(place: Path) -> Stand:
    coming = place / "coming"
    coming.mkdir()

    def write() -> None:
        for number in range(ROWS):
            hidden = coming / f".{number}"
            hidden.write_text(json.dumps(row(number)))
            hidden.rename(coming / f"{number:03}.json")

    return Stand(f"folder:{coming}?poll=0.01", VECTOR, first, write)


def json_lines(place: Path) -> Stand:
    lines = (json.dumps({"x": row(number)}) for number in range(ROWS))
    (place / "rows.jsonl").write_text("\n".join(lines))
    return Stand(f"file:{place}/rows.jsonl", VECTOR, first)


def table(place: Path) -> Stand:
    lines = (",".join(map(str, row(number))) for number in range(ROWS))
    (place / "rows.csv").write_text("a,b,c,d,e,f,g,h\n" + "\n".join(lines))
    return Stand(f"file:{place}/rows.csv", VECTOR, first)


def arrays(place: Path) -> Stand:
    np.savez(place / "rows.npz", x=np.array([row(n) for n in range(ROWS)], np.float32))
    return Stand(f"file:{place}/rows.npz", VECTOR, first)


def array(place: Path) -> Stand:
    np.save(place / "rows.npy", np.array([row(n) for n in range(ROWS)], np.float32))
    return Stand(f"file:{place}/rows.npy", VECTOR, first)


def sound(place: Path) -> Stand:
    with wave.open(str(place / "sound.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(np.repeat(np.arange(ROWS, dtype="<i2"), COLUMNS).tobytes() + b"\1\0")
    number = lambda inputs: round(first({"x": inputs["x"] * 32768}))  # noqa: E731
    return Stand(f"file:{place}/sound.wav", WINDOW, number)


def recorded(place: Path) -> Stand:
    """Return a video that OpenCV itself wrote."""
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed: insight-edge[video]")
    path = str(place / "film.avi")
    writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"MJPG"), 10, (16, 16))
    for number in range(ROWS):
        writer.write(picture(number))
    writer.release()
    return Stand(f"file:{path}", PICTURE, shade)


@pytest.fixture
def camera(monkeypatch: pytest.MonkeyPatch) -> Camera:
    camera = Camera()
    monkeypatch.setitem(sys.modules, "cv2", camera.module())
    return camera


STANDS: dict[str, Callable[[Path], Stand]] = {
    "folder": folder,
    "file of JSON lines": json_lines,
    "file of numbers": table,
    "file of arrays": arrays,
    "file of an array": array,
    "file of sound": sound,
    "file of frames": recorded,
}


@pytest.fixture(params=[*STANDS, "film", "v4l2", "mqtt"])
def stand(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stand]:
    name = request.param
    if name in STANDS:
        yield STANDS[name](tmp_path)
    elif name == "mqtt":
        with running_broker(tmp_path) as broker, stranger(login := cloud_login(broker)) as sender:
            yield on_topic(tmp_path, login, sender)
    else:
        camera: Camera = request.getfixturevalue("camera")
        camera.frames = [picture(number) for number in range(ROWS)]
        (tmp_path / "film.mp4").touch()
        place = "v4l2:0" if name == "v4l2" else f"file:{tmp_path}/film.mp4"
        yield Stand(place, PICTURE, shade)


def on_topic(place: Path, login: Any, sender: Any) -> Stand:
    (place / "secret").write_text(login.password)
    options = f"user={login.username}&password-file={place}/secret"

    def write() -> None:
        for number in range(ROWS):
            sender.publish("lines/1/row", json.dumps({"x": row(number)}).encode())

    words = f"mqtt:{login.host}:{login.port}/lines/+/row?{options}"
    return Stand(words, VECTOR, first, write)


def begin(stand: Stand, policy: Policy, capacity: int = CAPACITY) -> Feed:
    """Return a feed that reads already, its rows written."""
    source = stand.source()
    reading = threading.Event()
    items = source.items

    def told(rest: Any) -> Any:
        for item in items(rest):
            reading.set()
            yield item

    source.items = told  # type: ignore[method-assign]
    feed = Feed(source, capacity=capacity, policy=policy)
    assert reading.wait(10)
    stand.write()
    return feed


def numbers(stand: Stand, feed: Feed, count: int) -> list[int]:
    found: list[int] = []
    while len(found) < count:
        try:
            item = feed.take(10)
        except Ended:
            break
        assert item is not None, f"{len(found)} of {count} came"
        found.append(stand.number(inputs_of(item.value, stand.inputs)))
        item.over()
    return found


def test_every_source_that_is_declared_is_tried() -> None:
    assert {plugin.name for plugin in plugins(GROUP)} == {"folder", "file", "v4l2", "mqtt"}


def test_rows_come_in_their_order_none_of_them_lost(stand: Stand) -> None:
    with begin(stand, "block") as feed:
        assert numbers(stand, feed, ROWS) == list(range(ROWS))
        told = feed.statistics
    assert (told.offered, told.taken, told.dropped, told.lost) == (ROWS, ROWS, 0, 0)
    assert told.most <= CAPACITY


@pytest.mark.parametrize("policy", [policy for policy in POLICIES if policy != "block"])
def test_what_has_no_room_is_dropped_as_was_said_and_counted(stand: Stand, policy: Policy) -> None:
    with begin(stand, policy) as feed:
        until(lambda: feed.statistics.offered == ROWS)
        told = feed.statistics
        room = 1 if policy == "latest" else CAPACITY
        assert (told.dropped, told.waiting, told.most) == (ROWS - room, room, room)
        left = range(room) if policy == "drop-newest" else range(ROWS - room, ROWS)
        assert numbers(stand, feed, room) == list(left)


def test_one_that_waits_for_room_reads_no_further_and_ends_when_told(stand: Stand) -> None:
    feed = begin(stand, "block")
    until(lambda: feed.statistics.waiting == CAPACITY)
    assert numbers(stand, feed, 2) == [0, 1]
    until(lambda: feed.statistics.waiting == CAPACITY)
    assert feed.statistics.offered == CAPACITY + 2
    assert feed.close()
    with pytest.raises(Ended):
        feed.take(0)
    told = feed.statistics
    assert told.offered == told.taken + told.dropped + told.waiting
