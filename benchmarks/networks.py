# SPDX-License-Identifier: Apache-2.0
"""Networks to measure with: seeded, untrained, their BatchNorm warmed on seeded noise.

Weights that mean nothing cost what trained ones cost. This is the one module
here that imports torch; `write_onnx` runs it in a process of its own, so that
torch's threads and allocator are in no measured one.
"""

import logging
import multiprocessing
import warnings
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

Kind = Literal["short", "long", "image", "photo", "dense", "camera", "mobile"]

OPSET = 18
SHAPES: dict[Kind, tuple[int, ...]] = {
    "short": (64,),
    "long": (64,),
    "image": (3, 64, 64),
    "photo": (3, 224, 224),
    "dense": (64,),
    "camera": (3, 64, 64),
    "mobile": (3, 224, 224),
}
DEPTHS: dict[Kind, int] = {"short": 1, "long": 36}
"""Convolutions of a network on 64 numbers: about 0.05 ms and 2 ms on one core of a small machine.
They are many small ones, so that the time goes into arithmetic and not into fetching weights."""

CHANNELS = (3, 32, 64, 128, 256, 256)
"""Of the image network: five strided 3x3 convolutions, about a million parameters."""

CAMERA_DEPTH = 24
"""Convolutions of the camera network on 16x16 points: 2 ms of arithmetic over 3.6 MB of weights."""

WIDTHS = (64, 512, 512, 8)
"""Of the dense network: about 0.02 ms."""

MOBILE: tuple[tuple[int, int, int], ...] = (
    *((32, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2)),
    *((512, 512, 1),) * 5,
    *((512, 1024, 2), (1024, 1024, 1)),
)
"""Channels and strides of the blocks of a MobileNet (A. Howard and others, 2017): 4.2 million
parameters, 0.57 billion multiplications."""

WARMING_BATCHES = 10


def rows(kind: Kind, count: int, seed: int = 0) -> NDArray[np.float32]:
    """Return float32[count, ...] of standard normal inputs for a network."""
    shape = (count, *SHAPES[kind])
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def write_onnx(kind: Kind, path: Path, seed: int = 0) -> None:
    """Write a network as ONNX with input `x`, output `y` and a free batch."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as child:
        child.submit(_export, kind, path, seed).result()


def network(kind: Kind, seed: int = 0) -> "torch.nn.Sequential":
    """Return a network in evaluation mode; the same seed gives the same weights."""
    import torch

    torch.manual_seed(seed)
    net = torch.nn.Sequential(*_layers(kind))
    with torch.no_grad():
        for batch in range(WARMING_BATCHES):
            net(torch.from_numpy(rows(kind, 2 if kind == "mobile" else 32, seed=batch)))
    return net.eval()


def _layers(kind: Kind) -> "list[torch.nn.Module]":
    match kind:
        case "image" | "photo":
            return _image_layers()
        case "camera":
            return _camera_layers()
        case "dense":
            return _dense_layers()
        case "mobile":
            return _mobile_layers()
        case _:
            return _grid_layers(DEPTHS[kind])


def _dense_layers() -> "list[torch.nn.Module]":
    from torch import nn

    *hidden, last = pairwise(WIDTHS)
    layers: list[nn.Module] = []
    for origin, to in hidden:
        layers += [nn.Linear(origin, to), nn.ReLU()]
    return [*layers, nn.Linear(*last)]


def _grid_layers(depth: int) -> "list[torch.nn.Module]":
    """Return layers on 64 numbers as an 8x8 grid."""
    from torch import nn

    layers: list[nn.Module] = [nn.Unflatten(1, (1, 8, 8))]
    for channels in (1, *(64,) * depth):
        layers += _convolution(channels, 64, stride=1)
    return [*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)]


def _image_layers() -> "list[torch.nn.Module]":
    from torch import nn

    layers: list[nn.Module] = []
    for origin, to in pairwise(CHANNELS):
        layers += _convolution(origin, to, stride=2)
    return [*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(CHANNELS[-1], 10)]


def _camera_layers() -> "list[torch.nn.Module]":
    from torch import nn

    layers = [*_convolution(3, 32, stride=2), *_convolution(32, 64, stride=2)]
    for _ in range(CAMERA_DEPTH):
        layers += _convolution(64, 64, stride=1)
    return [*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)]


def _mobile_layers() -> "list[torch.nn.Module]":
    from torch import nn

    layers = _convolution(3, MOBILE[0][0], stride=2)
    for origin, to, stride in MOBILE:
        depthwise = nn.Conv2d(origin, origin, 3, stride, padding=1, groups=origin, bias=False)
        pointwise = nn.Conv2d(origin, to, 1, bias=False)
        layers += [depthwise, nn.BatchNorm2d(origin), nn.ReLU()]
        layers += [pointwise, nn.BatchNorm2d(to), nn.ReLU()]
    return [*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(MOBILE[-1][1], 1000)]


def _convolution(origin: int, to: int, stride: int) -> "list[torch.nn.Module]":
    from torch import nn

    convolution = nn.Conv2d(origin, to, 3, stride=stride, padding=1, bias=False)
    return [convolution, nn.BatchNorm2d(to), nn.ReLU()]


def _export(kind: Kind, path: Path, seed: int) -> None:
    import torch

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    torch.onnx.export(
        network(kind, seed),
        (torch.from_numpy(rows(kind, 2)),),  # of batch 1 the exporter would make a constant
        path,
        dynamo=True,
        opset_version=OPSET,
        external_data=False,
        input_names=["x"],
        output_names=["y"],
        dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=64)},),
        verbose=False,
    )
