# SPDX-License-Identifier: Apache-2.0
"""Source `file`: the rows, windows or frames of one file, in their order, and then the end.

`file:PATH` of .npz, .npy, .jsonl, .csv; of .wav with `?samples=N&hop=N`; of a video, by OpenCV,
with `?every=N`.
"""

from collections.abc import Generator
from functools import partial
from pathlib import Path

from insight_edge.errors import ConfigurationError, SourceError
from insight_edge.streaming.rows import rows_of
from insight_edge.streaming.seam import Asked, Item, Rest
from insight_edge.streaming.sound import windows_of
from insight_edge.streaming.video import frames, opencv


class FileSource:
    """One file.

    Raises:
        ConfigurationError: there is no such file, or an option cannot be meant.
        MissingError: it is a video, and OpenCV is not installed.
    """

    def __init__(self, asked: Asked) -> None:
        self._path = Path(asked.place)
        if not self._path.is_file():
            raise ConfigurationError(f"{self._path}: no such file")
        self._inputs = asked.inputs
        self._every = int(asked.number("every", 1, least=1))
        self._samples = int(asked.number("samples", 0, least=0))
        self._hop = int(asked.number("hop", 0, least=0))
        asked.refuse_others()
        # Refused now rather than by the first frame.
        rows = rows_of(self._path, self._inputs)
        self._cv2 = None if rows is not None or self._is_sound else opencv()

    @property
    def _is_sound(self) -> bool:
        return self._path.suffix.lower() == ".wav"

    def items(self, rest: Rest) -> Generator[Item | None, None, None]:
        """Yield what is in it; a file that cannot be read is a person's to mend."""
        del rest
        try:
            yield from self._items()
        except ConfigurationError:
            raise
        except Exception as error:  # a file does not mend itself
            raise ConfigurationError(f"{self._path}: {error}") from error

    def _items(self) -> Generator[Item | None, None, None]:
        rows = rows_of(self._path, self._inputs)
        if rows is not None:
            yield from rows
        elif self._is_sound:
            yield from windows_of(self._path, self._inputs, samples=self._samples, hop=self._hop)
        elif not (yield from self._frames()):
            raise SourceError("OpenCV finds no frame in it")

    def _frames(self) -> Generator[Item | None, None, int]:
        cv2 = self._cv2
        assert cv2 is not None  # noqa: S101 (for types alone)
        opening = partial(cv2.VideoCapture, str(self._path))
        return (yield from frames(opening, self._path.name, every=self._every))
