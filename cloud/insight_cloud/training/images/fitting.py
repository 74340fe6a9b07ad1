# SPDX-License-Identifier: Apache-2.0
"""Fit a network to images: the loop, its schedule, and what makes it repeatable."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import TensorDataset

from insight_cloud.platform.errors import TrainingError
from insight_cloud.training.config import FittingSection
from insight_cloud.training.task import Progress


@contextmanager
def repeatable(*, seed: int, threads: int) -> Iterator[None]:
    """Make what torch computes inside depend on its arguments alone, and undo that after."""
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])


def fit(
    network: nn.Module,
    rows: TensorDataset,
    section: FittingSection,
    *,
    vary: Callable[[Tensor, torch.Generator], Tensor],
    progress: Callable[[Progress], None],
) -> None:
    """Fit the network in place and leave it in evaluation mode.

    AdamW with a one-cycle learning rate; every epoch sees each row once, in a new order.

    Args:
        network: from images to logits (batch, classes).
        rows: images float32 (rows, 1, height, width), labels int64 (rows,).
        section: of the configuration.
        vary: augments a batch.
        progress: called after each epoch.

    Raises:
        TrainingError: the loss is no longer a number.
    """
    images, labels = rows.tensors
    generator = torch.Generator().manual_seed(section.seed)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=section.learning_rate, weight_decay=section.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser,
        max_lr=section.learning_rate,
        total_steps=section.epochs * math.ceil(len(images) / section.batch),
    )
    network.train()
    for epoch in range(1, section.epochs + 1):
        total = 0.0
        order = torch.randperm(len(images), generator=generator)
        for batch in torch.split(order, section.batch):
            loss = cross_entropy(network(vary(images[batch], generator)), labels[batch])
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            schedule.step()
            total += loss.item() * len(batch)
        _refuse_divergence(total, epoch)
        progress(Progress(epoch=epoch, epochs=section.epochs, loss=total / len(images)))
    network.eval()


def _refuse_divergence(loss: float, epoch: int) -> None:
    if not math.isfinite(loss):
        raise TrainingError(
            f"the loss is {loss} in epoch {epoch}", hint="lower fitting.learning_rate"
        )
