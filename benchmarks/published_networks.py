# SPDX-License-Identifier: Apache-2.0
"""Networks that others publish latencies of, as papers describe them; every weight is drawn.

MobileNet v1 to v3 (A. Howard and others, 2017 and 2019; M. Sandler and others, 2018) and ResNet
(K. He and others, 2015), on one image of 224x224, without normalisation, which engines fold into
convolutions. ReLU6 is written as ReLU, which takes as long.
"""

from collections.abc import Callable, Mapping

from benchmarks.networks import MOBILE
from benchmarks.prediction_networks import Graph

IMAGE = (1, 3, 224, 224)
CLASSES = 1000

V2 = (
    *((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1)),
    *((6, 160, 3, 2), (6, 320, 1, 1)),
)
"""Expansion, channels, repeats and stride of each stage."""

_R, _H = "Relu", "HardSwish"

V3_LARGE = (
    *((3, 16, 16, False, _R, 1), (3, 64, 24, False, _R, 2), (3, 72, 24, False, _R, 1)),
    *((5, 72, 40, True, _R, 2), (5, 120, 40, True, _R, 1), (5, 120, 40, True, _R, 1)),
    *((3, 240, 80, False, _H, 2), (3, 200, 80, False, _H, 1), (3, 184, 80, False, _H, 1)),
    *((3, 184, 80, False, _H, 1), (3, 480, 112, True, _H, 1), (3, 672, 112, True, _H, 1)),
    *((5, 672, 160, True, _H, 2), (5, 960, 160, True, _H, 1), (5, 960, 160, True, _H, 1)),
)
"""Kernel, expanded channels, channels, squeeze, activation and stride of each block."""

V3_SMALL = (
    *((3, 16, 16, True, _R, 2), (3, 72, 24, False, _R, 2), (3, 88, 24, False, _R, 1)),
    *((5, 96, 40, True, _H, 2), (5, 240, 40, True, _H, 1), (5, 240, 40, True, _H, 1)),
    *((5, 120, 48, True, _H, 1), (5, 144, 48, True, _H, 1), (5, 288, 96, True, _H, 2)),
    *((5, 576, 96, True, _H, 1), (5, 576, 96, True, _H, 1)),
)


class _Net(Graph):
    """A network that remembers how many channels it has."""

    def __init__(self) -> None:
        super().__init__(0)
        self.at, self.channels = "x", 3

    def convolve(
        self, to: int, kernel: int = 1, stride: int = 1, *, groups: int = 1, then: str | None = _R
    ) -> None:
        weights = self.weight(to, self.channels // groups, kernel, kernel), self.weight(to)
        pads, strides = [kernel // 2] * 4, [stride] * 2
        self.at = self.add("Conv", self.at, *weights, pads=pads, group=groups, strides=strides)
        self.channels = to
        if then is not None:
            self.at = self.add(then, self.at)

    def join(self, before: str, op: str = "Add") -> None:
        self.at = self.add(op, self.at, before)

    def squeeze(self) -> None:
        kept, channels = self.at, self.channels
        self.at = self.add("GlobalAveragePool", self.at)
        self.convolve(max(8, (channels // 4 + 4) // 8 * 8))
        self.convolve(channels, then="HardSigmoid")
        self.join(kept, "Mul")

    def pool(self) -> None:
        self.at = self.add("Flatten", self.add("GlobalAveragePool", self.at), axis=1)

    def connect(self, to: int, then: str | None = None) -> None:
        self.at = self.add("Gemm", self.at, self.weight(self.channels, to), self.weight(to))
        self.channels = to
        if then is not None:
            self.at = self.add(then, self.at)

    def whole(self) -> bytes:
        return self.model(IMAGE, self.at)


def _mobilenet_v1() -> bytes:
    net = _Net()
    net.convolve(MOBILE[0][0], 3, 2)
    for origin, to, stride in MOBILE:
        net.convolve(origin, 3, stride, groups=origin)
        net.convolve(to)
    net.pool()
    net.connect(CLASSES)
    return net.whole()


def _inverted(
    net: _Net, kernel: int, wide: int, to: int, *, squeezed: bool, then: str, stride: int
) -> None:
    before, origin = net.at, net.channels
    if wide != origin:
        net.convolve(wide, then=then)
    net.convolve(wide, kernel, stride, groups=wide, then=then)
    if squeezed:
        net.squeeze()
    net.convolve(to, then=None)
    if stride == 1 and origin == to:
        net.join(before)


def _mobilenet_v2() -> bytes:
    net = _Net()
    net.convolve(32, 3, 2)
    for times, to, repeats, stride in V2:
        for index in range(repeats):
            step = stride if index == 0 else 1
            wide = times * net.channels
            _inverted(net, 3, wide, to, squeezed=False, then=_R, stride=step)
    net.convolve(1280)
    net.pool()
    net.connect(CLASSES)
    return net.whole()


def _mobilenet_v3(
    blocks: tuple[tuple[int, int, int, bool, str, int], ...], last: int, hidden: int
) -> bytes:
    net = _Net()
    net.convolve(16, 3, 2, then=_H)
    for kernel, wide, to, squeezed, then, stride in blocks:
        _inverted(net, kernel, wide, to, squeezed=squeezed, then=then, stride=stride)
    net.convolve(last, then=_H)
    net.pool()
    net.connect(hidden, _H)
    net.connect(CLASSES)
    return net.whole()


def _residual(net: _Net, width: int, stride: int, *, deep: bool) -> None:
    to = 4 * width if deep else width
    before, origin = net.at, net.channels
    if deep:
        net.convolve(width)
        net.convolve(width, 3, stride)
        net.convolve(to, then=None)
    else:
        net.convolve(width, 3, stride)
        net.convolve(width, 3, then=None)
    if stride != 1 or origin != to:
        made = net.at
        net.at, net.channels = before, origin
        net.convolve(to, 1, stride, then=None)
        before, net.at = net.at, made
    net.join(before)
    net.at = net.add(_R, net.at)


def _resnet(depths: tuple[int, ...], *, deep: bool) -> bytes:
    net = _Net()
    net.convolve(64, 7, 2)
    net.at = net.add("MaxPool", net.at, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    for stage, depth in enumerate(depths):
        for index in range(depth):
            stride = 2 if stage and index == 0 else 1
            _residual(net, 64 * 2**stage, stride, deep=deep)
    net.pool()
    net.connect(CLASSES)
    return net.whole()


PUBLISHED: Mapping[str, Callable[[], bytes]] = {
    "mobilenet-v1": _mobilenet_v1,
    "mobilenet-v2": _mobilenet_v2,
    "mobilenet-v3-large": lambda: _mobilenet_v3(V3_LARGE, 960, 1280),
    "mobilenet-v3-small": lambda: _mobilenet_v3(V3_SMALL, 576, 1024),
    "resnet18": lambda: _resnet((2, 2, 2, 2), deep=False),
    "resnet50": lambda: _resnet((3, 4, 6, 3), deep=True),
}
"""ONNX of each by name, as `published.toml` names it."""
