# SPDX-License-Identifier: Apache-2.0
"""A plain convolutional network for small grey images."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn


class ConvolutionalNetwork(nn.Module):
    """Blocks of convolution, batch normalisation and ReLU, halving the image between them.

    The input is float32 (batch, 1, height, width), the output logits (batch, classes).
    """

    def __init__(
        self, *, channels: Sequence[int], hidden: int, classes: int, height: int, width: int
    ) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        for index, (before, after) in enumerate(pairwise((1, *channels))):
            if index:
                blocks.append(nn.MaxPool2d(2))
            blocks += [
                nn.Conv2d(before, after, 3, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
            ]
        halvings = 2 ** (len(channels) - 1)
        flat = channels[-1] * (height // halvings) * (width // halvings)
        self._layers = nn.Sequential(
            *blocks, nn.Flatten(), nn.Linear(flat, hidden), nn.ReLU(), nn.Linear(hidden, classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        logits: Tensor = self._layers(x)
        return logits
