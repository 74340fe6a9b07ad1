# SPDX-License-Identifier: Apache-2.0
"""Programs as people export them: answers in any container, state, training mode, other types."""

import io
import json
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from insight_edge.compile.graph.reference import answers
from insight_edge.compile.reading import read_source
from insight_edge.compile.sources.source import SourceModel
from insight_edge.errors import ModelError

pytestmark = pytest.mark.slow

BATCH = torch.export.Dim("batch", min=1, max=64)
ROWS = torch.arange(8.0).reshape(2, 4) / 8


class Net(nn.Module):
    """A layer, and what a test makes of it."""

    def __init__(self, forward: Callable[..., Any], **parts: nn.Module) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(4, 3)
        self.register_buffer("kept", torch.zeros(1, 3))
        self.parts = nn.ModuleDict(parts)
        self.answer = forward

    def forward(self, x: torch.Tensor) -> Any:
        return self.answer(self, x)


def save(net: nn.Module, path: Path, example: torch.Tensor = ROWS, *, free: bool = True) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shapes = ({0: BATCH},) if free else None
        program = torch.export.export(net, (example,), dynamic_shapes=shapes)
        torch.export.save(program, path)
    return path


def read(forward: Callable[..., Any], folder: Path, example: torch.Tensor = ROWS) -> SourceModel:
    return read_source(save(Net(forward).eval(), folder / "net.pt2", example))


def refused(net: nn.Module, folder: Path, example: torch.Tensor = ROWS) -> ModelError:
    path = save(net, folder / "net.pt2", example, free=False)
    with pytest.raises(ModelError) as caught:
        read_source(path)
    assert "\n" not in str(caught.value)
    return caught.value


def outputs(source: SourceModel) -> list[str]:
    return [spec.name for spec in source.workload.outputs]


def test_answers_that_are_no_tensors_are_left_out(tmp_path: Path) -> None:
    source = read(lambda net, x: (net.layer(x), None, 7), tmp_path)
    assert [spec.shape[1:] for spec in source.workload.outputs] == [(3,)]


def test_answers_with_keys_are_called_by_them(tmp_path: Path) -> None:
    def forward(net: Net, x: torch.Tensor) -> dict[str, Any]:
        y = net.layer(x)
        return {"logits": y, "aux": [y.exp(), {"deep": -y}], "x": y + 1, "none": None}

    assert outputs(read(forward, tmp_path)) == ["logits", "aux_0", "aux_1_deep", "x_out"]


def test_input_that_is_answered_keeps_its_name(tmp_path: Path) -> None:
    source = read(lambda net, x: (net.layer(x), x), tmp_path)
    assert [spec.name for spec in source.workload.inputs] == ["x"]
    assert outputs(source)[1:] == ["x_out"]


@pytest.mark.parametrize(
    ("context", "names"),
    [
        ('["logits", "scores"]', ["logits", "scores"]),
        ('[["logits", "scores"], ["loss"]]', ["logits", "scores"]),
        ("null", ["linear", "exp"]),
    ],
)
def test_container_of_a_class_that_is_not_here_is_read(
    context: str, names: list[str], tmp_path: Path
) -> None:
    """As `transformers` and dataclasses write theirs; nothing that is theirs is imported."""

    def forward(net: Net, x: torch.Tensor) -> dict[str, Any]:
        y = net.layer(x)
        return {"one": y, "two": y.exp()}

    saved = save(Net(forward).eval(), tmp_path / "known.pt2")
    source = read_source(with_class(saved, tmp_path / "net.pt2", context))
    assert outputs(source) == names
    assert source.original is not None
    answered = torch.export.load(io.BytesIO(source.original.data)).module()(ROWS)
    found = answers(source.data, {"x": ROWS.numpy()})
    for one, other in zip(found.values(), torch.utils._pytree.tree_leaves(answered), strict=True):
        np.testing.assert_allclose(one, other.detach().numpy(), rtol=1e-5)


def with_class(saved: Path, path: Path, context: str) -> Path:
    """Copy a program that answers with a dict, as one that answers with a class."""
    with zipfile.ZipFile(saved) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith("models/model.json"):
                program = json.loads(data)
                signature = program["graph_module"]["module_call_graph"][0]["signature"]
                protocol, tree = json.loads(signature["out_spec"])
                tree.update(type="elsewhere.Output", context=context)
                signature["out_spec"] = json.dumps([protocol, tree])
                data = json.dumps(program).encode()
            new.writestr(name, data)
    return path


def test_program_that_writes_into_its_input_is_read(tmp_path: Path) -> None:
    read(lambda net, x: net.layer(x.sub_(0.5).div_(0.2)), tmp_path)


def test_program_that_takes_no_noise_is_asked_with_its_examples(tmp_path: Path) -> None:
    table = nn.Embedding(3, 3)
    net = Net(lambda net, x: net.parts["table"](x[:, 0].long()) + net.layer(x), table=table)
    example = torch.tensor([[2.0, 0, 0, 0], [1.0, 0, 0, 0]])
    read_source(save(net.eval(), tmp_path / "net.pt2", example))


def test_half_precision_may_differ_by_its_rounding(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(256, 64), nn.ReLU(), nn.Linear(64, 8)).half().eval()
    source = read_source(save(net, tmp_path / "net.pt2", torch.randn(2, 256).half()))
    assert source.workload.outputs[0].dtype == "float16"


def test_state_is_refused_by_the_name_of_its_buffer(tmp_path: Path) -> None:
    def forward(net: Any, x: torch.Tensor) -> torch.Tensor:
        net.kept.copy_((net.kept + net.layer(x)).tanh())
        answer: torch.Tensor = net.kept * 2
        return answer

    error = refused(Net(forward).eval(), tmp_path, ROWS[:1])
    assert str(error).endswith("it changes its buffer 'kept'")
    assert "as an input" in str(error.hint)


def test_counter_that_changes_no_answer_is_read(tmp_path: Path) -> None:
    def forward(net: Any, x: torch.Tensor) -> torch.Tensor:
        net.kept.add_(1)
        answer: torch.Tensor = net.layer(x)
        return answer

    assert len(outputs(read(forward, tmp_path))) == 1


def test_random_numbers_are_refused(tmp_path: Path) -> None:
    """The exporter would fold what was drawn into a constant."""
    net = Net(lambda net, x: net.layer(x) * torch.bernoulli(torch.full((2, 3), 0.5))).eval()
    assert "it draws random numbers" in str(refused(net, tmp_path))


@pytest.mark.parametrize("layer", [nn.BatchNorm1d(3), nn.Dropout(0.5)])
def test_training_mode_is_named(layer: nn.Module, tmp_path: Path) -> None:
    net = Net(lambda net, x: net.parts["odd"](net.layer(x)), odd=layer).train()
    error = refused(net, tmp_path)
    assert "exported in training mode" in str(error)
    assert error.hint == "call model.eval() before torch.export.export"


def test_complex_numbers_are_refused(tmp_path: Path) -> None:
    def forward(net: Any, x: torch.Tensor) -> torch.Tensor:
        return torch.complex(net.layer(x), net.layer(x))

    error = refused(Net(forward).eval(), tmp_path)
    assert "an output is complex64" in str(error)
    assert "torch.view_as_real" in str(error.hint)


def test_bfloat16_is_refused_with_what_to_do(tmp_path: Path) -> None:
    net = Net(lambda net, x: net.layer(x.bfloat16()).float()).bfloat16().eval()
    error = refused(net, tmp_path)
    assert "it computes in bfloat16" in str(error)
    assert error.hint == "export model.float()"


def test_output_of_other_rows_is_refused(tmp_path: Path) -> None:
    """Before anything is compiled: `check` reads models too."""
    error = refused(Net(lambda net, x: (net.layer(x), net.layer.weight)).eval(), tmp_path)
    assert "has 3 rows for 2 rows of input" in str(error)


def test_operator_of_another_package_is_named(tmp_path: Path) -> None:
    """Suppression of boxes is torchvision's, and torch says so in its log alone."""
    saved = save(Net(lambda net, x: net.layer(x).relu()).eval(), tmp_path / "known.pt2")
    with zipfile.ZipFile(saved) as old, zipfile.ZipFile(tmp_path / "net.pt2", "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(
                name,
                data.replace(b"torch.ops.aten.relu.default", b"torch.ops.elsewhere.nms.default"),
            )
    with pytest.raises(ModelError, match="it calls elsewhere::nms, which torch itself") as caught:
        read_source(tmp_path / "net.pt2")
    assert "apply it to the outputs" in str(caught.value.hint)
