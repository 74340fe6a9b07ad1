# SPDX-License-Identifier: Apache-2.0
"""Windows of a WAV file of PCM, one after the other."""

import io
import wave
from collections.abc import Generator
from pathlib import Path

from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import ConfigurationError, DocumentError
from insight_edge.streaming.seam import Item, Value
from insight_edge.transforms.files import takes_files
from insight_edge.transforms.wav import samples_from_file


def windows_of(
    path: Path, inputs: tuple[TensorSpec, ...], *, samples: int, hop: int
) -> Generator[Item | None, None, None]:
    """Yield whole windows; what is too short for one at the end is left out.

    A bundle that takes files gets each as a WAV file of its own, another float32 from -1 to 1.

    Args:
        path: of the file.
        inputs: of the bundle.
        samples: of a window; 0 for as many as the bundle's only input has.
        hop: samples from one window to the next; 0 for as many as a window has.

    Raises:
        ConfigurationError: nothing says how long a window is.
        DocumentError: it is no WAV file of PCM.
    """
    sole = inputs[0] if len(inputs) == 1 else None
    length = samples or _length(sole)
    files = sole is not None and takes_files(sole)
    try:
        with wave.open(str(path), "rb") as sound:
            for at in range(0, sound.getnframes() - length + 1, hop or length):
                sound.setpos(at)
                window = _window(sound, length)
                rate = sound.getframerate()
                value: Value = (
                    window if files else samples_from_file(window, rate=rate, most=length)
                )
                yield Item(f"{path.name}:{at}", value)
    except (wave.Error, EOFError) as error:
        raise DocumentError(f"{path}: no WAV file of PCM: {error}") from error


def _window(sound: wave.Wave_read, length: int) -> bytes:
    packed = io.BytesIO()
    with wave.open(packed, "wb") as written:
        written.setparams(sound.getparams())
        written.writeframes(sound.readframes(length))
    return packed.getvalue()


def _length(spec: TensorSpec | None) -> int:
    size = spec.shape[-1] if spec is not None and spec.shape else None
    if not isinstance(size, int):
        raise ConfigurationError("nothing says how long a window is", hint="samples=16000")
    return size
