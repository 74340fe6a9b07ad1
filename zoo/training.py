# SPDX-License-Identifier: Apache-2.0
"""Train a network for a fixed number of steps; the same seed, the same order of rows."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from zoo.member import SEED, Array, Rows
from zoo.networks import network

Loss = Callable[[Tensor, Tensor], Tensor]
Change = Callable[[Array, np.random.Generator], Array]

ANSWER_BATCH = 64


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long and how fast.

    Attributes:
        steps: of the optimiser.
        batch: rows of each.
        rate: the highest learning rate; it rises and falls once.
    """

    steps: int
    batch: int
    rate: float

    def shortened(self, effort: float) -> "Schedule":
        """Return a schedule of a share of the steps, two at least."""
        return Schedule(steps=max(2, round(self.steps * effort)), batch=self.batch, rate=self.rate)


def trained(
    name: str,
    rows: Rows,
    schedule: Schedule,
    loss: Loss,
    change: Change = lambda x, _: x,
    *,
    threads: int = 2,
) -> nn.Module:
    """Return a network in evaluation mode.

    Args:
        name: of the network.
        rows: of one input, with labels.
        schedule: how long and how fast.
        loss: of answers and labels.
        change: what is done to a batch before it is learnt from.
        threads: of PyTorch; small networks are faster with one.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(SEED)
    random = np.random.default_rng(SEED)
    (inputs,), labels = rows.inputs.values(), rows.labels
    if labels is None:
        raise ValueError("rows without labels teach nothing")
    net = network(name).train()
    optimiser = torch.optim.AdamW(net.parameters(), lr=schedule.rate, weight_decay=0.01)
    rates = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, schedule.rate, total_steps=schedule.steps
    )
    for _ in range(schedule.steps):
        chosen = random.integers(0, len(rows), schedule.batch)
        batch = torch.from_numpy(change(inputs[chosen], random))
        optimiser.zero_grad()
        loss(net(batch), torch.from_numpy(labels[chosen])).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        rates.step()
    return net.eval()


def answers(net: nn.Module, inputs: Array) -> NDArray[np.float32]:
    """Return what a network answers to rows, a batch at a time."""
    with torch.inference_mode():
        batches = torch.split(torch.from_numpy(inputs), ANSWER_BATCH)
        found: NDArray[np.float32] = torch.cat([net(batch) for batch in batches]).numpy()
    return found


def mirrored(images: Array, random: np.random.Generator) -> Array:
    """Return images, half of them mirrored."""
    flipped = random.random(len(images)) < 0.5
    found = images.copy()
    found[flipped] = found[flipped][..., ::-1]
    return found
