# SPDX-License-Identifier: Apache-2.0
"""Frames of a video file or a camera, read by OpenCV, which is imported when one is opened.

Frames are uint8 (h, w, 3), red first, and are called by their number.
"""

from collections.abc import Callable, Generator
from typing import Any

import numpy as np

from insight_edge.errors import MissingError, SourceError
from insight_edge.streaming.seam import Asked, Item, Rest


def opencv() -> Any:
    """Return the library.

    Raises:
        MissingError: it is not installed.
    """
    try:
        import cv2
    except ImportError as error:
        raise MissingError(
            f"frames are read by OpenCV, which is not there: {error}",
            hint="pip install 'insight-edge[video]'",
        ) from error
    return cv2


def frames(
    opening: Callable[[], Any], name: str, *, every: int, first: int = 0
) -> Generator[Item | None, None, int]:
    """Yield frames until none comes; return how many there were.

    Args:
        opening: makes a `VideoCapture`.
        name: of what it is of.
        every: only each so many.
        first: number of the first.

    Raises:
        SourceError: it cannot be opened.
    """
    capture = opening()
    number = first
    try:
        if not capture.isOpened():
            raise SourceError(f"{name}: OpenCV cannot open it")
        while True:
            there, frame = capture.read()
            if not there:
                return number - first
            if number % every == 0:
                yield Item(f"{name}:{number}", np.ascontiguousarray(frame[..., ::-1]))
            number += 1
    finally:
        capture.release()


class V4l2Source:
    """Source `v4l2`: a camera that Linux knows, `v4l2:/dev/video0?width=640&height=480&every=N`.

    A camera that gives no frame any more has died, and is opened again.

    Raises:
        MissingError: OpenCV is not installed.
        ConfigurationError: an option cannot be meant.
    """

    def __init__(self, asked: Asked) -> None:
        self._place = int(asked.place) if asked.place.isdigit() else asked.place
        self._every = int(asked.number("every", 1, least=1))
        self._size = [int(asked.number(name, 0, least=0)) for name in ("width", "height")]
        asked.refuse_others()
        self._cv2 = opencv()
        self._next = 0

    def items(self, rest: Rest) -> Generator[Item | None, None, None]:
        """Yield frames for ever."""
        del rest
        name = f"video{self._place}" if isinstance(self._place, int) else self._place
        self._next += yield from frames(self._open, name, every=self._every, first=self._next)
        raise SourceError(f"{self._place}: the camera gives no frame any more")

    def _open(self) -> Any:
        cv2 = self._cv2
        capture = cv2.VideoCapture(self._place, cv2.CAP_V4L2)
        for what, size in zip((cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT), self._size,
                              strict=True):  # fmt: skip
            if size:
                capture.set(what, size)
        return capture
