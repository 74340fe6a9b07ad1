# SPDX-License-Identifier: Apache-2.0
"""As much of OpenCV as reads frames: captures of pictures that a test puts there."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


class Camera:
    """What captures read from.

    Attributes:
        frames: red first; a capture reads them in their order, wherever another one stopped.
        wait: called before each frame.
        opened, released: captures.
        broken: cannot be opened.
        size: that was asked for.
    """

    def __init__(self) -> None:
        self.frames: list[Picture] = []
        self.read = self.opened = self.released = 0
        self.broken = False
        self.wait: Callable[[], object] = lambda: None
        self.size: dict[int, int] = {}

    def module(self) -> ModuleType:
        """Return what is imported as `cv2`."""
        module = ModuleType("cv2")
        told: dict[str, Any] = {
            "CAP_V4L2": 200,
            "CAP_PROP_FRAME_WIDTH": 3,
            "CAP_PROP_FRAME_HEIGHT": 4,
            "VideoCapture": lambda *place: Capture(self, place),
        }
        for name, value in told.items():
            setattr(module, name, value)
        return module


class Capture:
    """An open camera."""

    def __init__(self, camera: Camera, place: tuple[object, ...]) -> None:
        self.place, self._camera = place, camera
        camera.opened += 1

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's
        return not self._camera.broken

    def set(self, what: int, value: int) -> None:
        self._camera.size[what] = value

    def read(self) -> tuple[bool, Picture | None]:
        camera = self._camera
        camera.wait()
        if camera.read == len(camera.frames):
            return False, None
        camera.read += 1
        return True, camera.frames[camera.read - 1][..., ::-1]

    def release(self) -> None:
        self._camera.released += 1
