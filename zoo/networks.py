# SPDX-License-Identifier: Apache-2.0
"""The networks of the zoo in PyTorch, untrained: images, text and time series.

Shapes are those of the papers, at the sizes of the data: MobileNetV2 (Sandler
2018), ResNet-18 (He 2015), U-Net (Ronneberger 2015), a transformer encoder
(Vaswani 2017) with the norm in front, a temporal convolutional network (Bai 2018).
"""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

MOBILE_BLOCKS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
                 (6, 160, 3, 2), (6, 320, 1, 1))  # fmt: skip
"""Expansion, channels, how many, stride of the first."""

TEXT_WIDTH, TEXT_LAYERS, TEXT_HEADS = 256, 4, 4
SERIES_WIDTH = 128


def network(name: str) -> nn.Module:
    """Return an untrained network by the name of its member.

    Raises:
        KeyError: there is none of this name.
    """
    return _BUILDERS[name]()


def _convolved(origin: int, to: int, kernel: int, *, stride: int = 1, groups: int = 1) -> nn.Module:
    convolution = nn.Conv2d(
        origin, to, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False
    )
    return nn.Sequential(convolution, nn.BatchNorm2d(to))


class _Inverted(nn.Module):
    """Wide inside, narrow outside, one convolution a channel between."""

    def __init__(self, origin: int, to: int, *, expansion: int, stride: int) -> None:
        super().__init__()
        wide = origin * expansion
        opening = [_convolved(origin, wide, 1), nn.ReLU6()] if expansion > 1 else []
        self.layers = nn.Sequential(
            *opening,
            _convolved(wide, wide, 3, stride=stride, groups=wide),
            nn.ReLU6(),
            _convolved(wide, to, 1),
        )
        self.same = stride == 1 and origin == to

    def forward(self, x: Tensor) -> Tensor:
        changed = cast("Tensor", self.layers(x))
        return x + changed if self.same else changed


class _Residual(nn.Module):
    def __init__(self, origin: int, to: int, *, stride: int) -> None:
        super().__init__()
        self.first = nn.Sequential(_convolved(origin, to, 3, stride=stride), nn.ReLU())
        self.second = _convolved(to, to, 3)
        same = stride == 1 and origin == to
        self.across = nn.Identity() if same else _convolved(origin, to, 1, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(cast("Tensor", self.second(self.first(x)) + self.across(x)))


def _mobilenet(classes: int = 10) -> nn.Module:
    layers: list[nn.Module] = [_convolved(3, 32, 3, stride=2), nn.ReLU6()]
    origin = 32
    for expansion, to, count, stride in MOBILE_BLOCKS:
        for index in range(count):
            first = stride if index == 0 else 1
            layers.append(_Inverted(origin, to, expansion=expansion, stride=first))
            origin = to
    layers += [_convolved(origin, 1280, 1), nn.ReLU6()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, classes))


def _resnet18(classes: int = 10) -> nn.Module:
    layers: list[nn.Module] = [_convolved(3, 64, 7, stride=2), nn.ReLU()]
    layers.append(nn.MaxPool2d(3, stride=2, padding=1))
    for origin, to in ((64, 64), (64, 128), (128, 256), (256, 512)):
        layers.append(_Residual(origin, to, stride=1 if origin == to else 2))
        layers.append(_Residual(to, to, stride=1))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, classes))


class _UNet(nn.Module):
    """Three halvings and back, each level joined with the one it came from."""

    def __init__(self, classes: int = 3, widths: tuple[int, ...] = (24, 48, 96, 192)) -> None:
        super().__init__()
        steps = list(pairwise(widths))
        self.start = self._twice(1, widths[0])
        self.down = nn.ModuleList(self._twice(origin, to) for origin, to in steps)
        self.up = nn.ModuleList(nn.ConvTranspose2d(to, origin, 2, 2) for origin, to in steps[::-1])
        self.join = nn.ModuleList(self._twice(2 * origin, origin) for origin, _ in steps[::-1])
        self.end = nn.Conv2d(widths[0], classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        kept = [cast("Tensor", self.start(x))]
        for level in self.down:
            kept.append(level(nn.functional.max_pool2d(kept[-1], 2)))
        found = kept.pop()
        for up, join in zip(self.up, self.join, strict=True):
            found = join(torch.cat([up(found), kept.pop()], dim=1))
        return cast("Tensor", self.end(found))

    @staticmethod
    def _twice(origin: int, to: int) -> nn.Module:
        return nn.Sequential(_convolved(origin, to, 3), nn.ReLU(), _convolved(to, to, 3), nn.ReLU())


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.ask = nn.Linear(width, 3 * width)
        self.tell = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        steps, width = x.shape[1], x.shape[2]
        parts = self.ask(x).reshape(-1, steps, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        found = nn.functional.scaled_dot_product_attention(query, key, value)
        return cast("Tensor", self.tell(found.transpose(1, 2).reshape(-1, steps, width)))


class _Layer(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = nn.Sequential(nn.LayerNorm(width), _Attention(width, heads))
        self.forwards = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Linear(4 * width, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(x)
        return cast("Tensor", x + self.forwards(x))


class _Encoder(nn.Module):
    def __init__(self, vocabulary: int = 4096, length: int = 64, classes: int = 4) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, TEXT_WIDTH)
        self.places = nn.Parameter(torch.randn(length, TEXT_WIDTH) / 50)
        layers = (_Layer(TEXT_WIDTH, TEXT_HEADS) for _ in range(TEXT_LAYERS))
        self.layers = nn.Sequential(*layers, nn.LayerNorm(TEXT_WIDTH))
        self.end = nn.Linear(TEXT_WIDTH, classes)

    def forward(self, tokens: Tensor) -> Tensor:
        found = self.layers(self.words(tokens) + self.places)
        return cast("Tensor", self.end(found.mean(dim=1)))


class _Recurrent(nn.Module):
    """One recurrent layer; its last state tells how what comes differs from the last value."""

    def __init__(self, kind: Callable[..., nn.Module], features: int, horizon: int) -> None:
        super().__init__()
        self.memory = kind(features, SERIES_WIDTH, batch_first=True)
        self.end = nn.Linear(SERIES_WIDTH, horizon)

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.memory(x)
        return cast("Tensor", x[:, -1, :1] + self.end(states[:, -1]))


class _Causal(nn.Module):
    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.before = (2 * dilation, 0)
        self.convolution = nn.Conv1d(width, width, 3, dilation=dilation)

    def forward(self, x: Tensor) -> Tensor:
        padded = nn.functional.pad(x, self.before)
        return x + torch.relu(self.convolution(padded))


class _Temporal(nn.Module):
    def __init__(self, features: int, horizon: int, width: int = 64) -> None:
        super().__init__()
        self.start = nn.Conv1d(features, width, 1)
        self.layers = nn.Sequential(*(_Causal(width, 2**level) for level in range(5)))
        self.end = nn.Linear(width, horizon)

    def forward(self, x: Tensor) -> Tensor:
        found = self.layers(self.start(x.transpose(1, 2)))
        return cast("Tensor", x[:, -1, :1] + self.end(found[..., -1]))


_BUILDERS: Mapping[str, Callable[[], nn.Module]] = {
    "mobilenet": _mobilenet,
    "resnet18": _resnet18,
    "unet": _UNet,
    "encoder": _Encoder,
    "lstm": lambda: _Recurrent(nn.LSTM, features=5, horizon=24),
    "gru": lambda: _Recurrent(nn.GRU, features=3, horizon=4),
    "tcn": lambda: _Temporal(features=1, horizon=6),
}
