# SPDX-License-Identifier: Apache-2.0
"""A program of PyTorch that takes no rows is asked call by call, and its file is not shipped."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from insight_edge.compile.graph.reference import answers
from insight_edge.compile.reading import read_source

pytestmark = pytest.mark.slow


class Listener(nn.Module):
    """A recurrent layer whose state comes in and goes out as PyTorch has it: the batch second."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(8, 4)
        self.out = nn.Linear(4, 1)

    def forward(
        self, x: torch.Tensor, state: torch.Tensor, rate: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        heard = torch.where(rate == 16000, self.layer(x), -self.layer(x))
        new = torch.tanh(heard + state[0] - state[1])
        return self.out(new), torch.stack([new, state[0]])


def test_program_with_a_state_answers_in_calls(tmp_path: Path) -> None:
    net = Listener().eval()
    example = (torch.randn(2, 8), torch.randn(2, 2, 4), torch.tensor(16000))
    batch = torch.export.Dim("batch", min=1, max=64)
    shapes: tuple[dict[int, torch.export.Dim], ...] = ({0: batch}, {1: batch}, {})
    torch.export.save(torch.export.export(net, example, dynamic_shapes=shapes), tmp_path / "p.pt2")
    source = read_source(tmp_path / "p.pt2")
    assert source.workload.called == "input 'rate' is a single number"
    assert source.original is None
    assert [one.shape for one in source.workload.inputs] == [(1, 1, 8), (1, 2, 1, 4), (1,)]
    x, state = torch.randn(1, 8), torch.randn(2, 1, 4)
    with torch.no_grad():
        wanted = net(x, state, torch.tensor(8000))
    named = zip(source.workload.inputs, (x, state, torch.tensor(8000)), strict=True)
    found = answers(source.data, {spec.name: tensor.numpy()[None] for spec, tensor in named})
    for answer, tensor in zip(found.values(), wanted, strict=True):
        np.testing.assert_allclose(answer[0], tensor.numpy(), rtol=0, atol=1e-6)
