# SPDX-License-Identifier: Apache-2.0
"""Small random changes that leave a digit the same digit, for training rows only."""

import math
from typing import Annotated

import torch
from msgspec import Meta
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from insight_edge.documents.codec import Document

Share = Annotated[float, Meta(ge=0, lt=1)]
NonNegative = Annotated[float, Meta(ge=0)]


class AugmentationSection(Document, frozen=True, kw_only=True):
    """How far each change may go; 0 turns it off. All are drawn uniformly but the noise.

    Attributes:
        shift: of the centre, as a share of height and width.
        rotation_deg: to either side.
        zoom: relative change of size.
        brightness: relative change of all values.
        noise: standard deviation added to each value, which lies between 0 and 1.
    """

    shift: Share = 0.08
    rotation_deg: NonNegative = 12.0
    zoom: Share = 0.12
    brightness: Share = 0.15
    noise: NonNegative = 0.03


def augment(images: Tensor, generator: torch.Generator, *, section: AugmentationSection) -> Tensor:
    """Return changed copies of float32 images (batch, 1, height, width); black comes in at edges.

    The geometry is sampled bilinearly, once.
    """
    rows = len(images)

    def uniform(limit: float) -> Tensor:
        return (torch.rand(rows, generator=generator) * 2 - 1) * limit

    angle = uniform(math.radians(section.rotation_deg))
    size = 1 / (1 + uniform(section.zoom))
    # Coordinates run from -1 to 1, so a share of the side is twice as much.
    across, down = uniform(2 * section.shift), uniform(2 * section.shift)
    cosine, sine = torch.cos(angle) * size, torch.sin(angle) * size
    matrix = torch.stack(
        [torch.stack([cosine, -sine, across], 1), torch.stack([sine, cosine, down], 1)], 1
    )
    grid = affine_grid(matrix, list(images.shape), align_corners=False)
    moved = grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    lit = moved * (1 + uniform(section.brightness)).view(-1, 1, 1, 1)
    return lit + torch.randn(images.shape, generator=generator) * section.noise
