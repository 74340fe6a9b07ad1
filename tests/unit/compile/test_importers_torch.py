# SPDX-License-Identifier: Apache-2.0
import io
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from insight_edge.compile.graph.parity import refuse_disagreement
from insight_edge.compile.importers.torch import TorchImporter
from insight_edge.compile.reading import read_source
from insight_edge.compile.sources.source import SourceModel
from insight_edge.errors import ModelError

pytestmark = pytest.mark.slow


class Net(nn.Module):
    """Two inputs, one of them indices; two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.table = nn.Embedding(7, 4)

    def forward(self, image: torch.Tensor, kind: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = torch.relu(self.norm(self.conv(image))).mean((2, 3))
        return features + self.table(kind), torch.softmax(features, -1)


class Marker:
    """Unpickling this writes a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self._path,)


def save(path: Path, *, dynamic: bool = True) -> Path:
    torch.manual_seed(0)
    batch = torch.export.Dim("batch", min=1, max=64)
    example = (torch.randn(2, 1, 8, 8), torch.tensor([3, 6]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(
            Net().eval(), example, dynamic_shapes=({0: batch}, {0: batch}) if dynamic else None
        )
        torch.export.save(program, path)
    return path


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("torch") / "net.pt2")


def rewritten(saved: Path, path: Path, ending: str, data: bytes) -> Path:
    """Copy an archive with other contents in the member whose name ends so."""
    changed = 0
    with zipfile.ZipFile(saved) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            hit = name.endswith(ending)
            changed += hit
            new.writestr(name, data if hit else old.read(name))
    assert changed == 1
    return path


def test_the_program_stays_beside_what_it_became(saved: Path) -> None:
    original = read_source(saved).original
    assert original is not None
    assert (original.form, original.data) == ("torch", saved.read_bytes())


def test_examples_of_the_program_stay_beside_what_it_became(saved: Path) -> None:
    source = read_source(saved)
    examples = source.examples
    for spec in source.workload.inputs:
        array = examples[spec.name]
        assert (array.dtype.name, array.shape) == (spec.dtype, (2, *spec.shape[1:]))
    assert any(np.array_equal(array, [3, 6]) for array in examples.values())


def refused(path: Path) -> ModelError:
    with pytest.raises(ModelError) as caught:
        read_source(path)
    assert "\n" not in str(caught.value)
    return caught.value


def test_program_becomes_onnx_of_the_same_face(saved: Path) -> None:
    source = read_source(saved)
    workload = source.workload
    assert (source.name, source.importer, workload.opset) == ("net", "torch", 18)
    assert [(s.name, s.dtype, s.shape[1:]) for s in workload.inputs] == [
        ("image", "float32", (1, 8, 8)),
        ("kind", "int64", ()),
    ]
    assert all(isinstance(s.shape[0], str) for s in workload.inputs)
    assert [s.shape[1:] for s in workload.outputs] == [(4,), (4,)]
    assert "Conv" in {o.op for o in workload.operations}


def test_program_of_a_fixed_batch_keeps_it(tmp_path: Path) -> None:
    source = read_source(save(tmp_path / "fixed.pt2", dynamic=False))
    assert source.workload.inputs[0].shape == (2, 1, 8, 8)


def test_pickled_module_is_refused_with_what_to_do(tmp_path: Path) -> None:
    torch.save(Net().state_dict(), tmp_path / "net.pt")
    error = refused(tmp_path / "net.pt")
    assert str(error).startswith("net.pt: a pickled module runs code when it is read")
    assert "torch.export.save" in str(error.hint)


def test_archive_with_pickled_code_is_refused_and_does_not_run(saved: Path, tmp_path: Path) -> None:
    packed = io.BytesIO()
    torch.save(((Marker(tmp_path / "ran"),), {}), packed)
    path = rewritten(saved, tmp_path / "bad.pt2", "sample_inputs/model.pt", packed.getvalue())
    assert "holds pickled objects" in str(refused(path))
    assert not (tmp_path / "ran").exists()


def test_archive_that_asks_for_unpickling_is_refused(saved: Path, tmp_path: Path) -> None:
    config = b'{"config": {"c": {"path_name": "c", "use_pickle": true}}}'
    path = rewritten(saved, tmp_path / "bad.pt2", "model_constants_config.json", config)
    assert "holds pickled objects" in str(refused(path))


@pytest.mark.parametrize(
    ("ending", "data"),
    [
        ("models/model.json", b"{}"),
        ("weights/weight_0", b""),
        ("weights/weight_0", b"odd"),
        ("weights/weight_0", b"\0" * 8),
        ("model_constants_config.json", b"[]"),
        ("model_weights_config.json", b"{"),
    ],
)
def test_damaged_member_is_a_model_error(
    ending: str, data: bytes, saved: Path, tmp_path: Path
) -> None:
    path = rewritten(saved, tmp_path / "bad.pt2", ending, data)
    assert str(refused(path)).startswith("bad.pt2: ")


@pytest.mark.parametrize("length_bytes", [0, 1, 5000])
def test_truncated_archive_is_a_model_error(length_bytes: int, saved: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.pt2").write_bytes(saved.read_bytes()[:length_bytes])
    assert str(refused(tmp_path / "bad.pt2")) == "bad.pt2: not a saved torch program"


def test_export_that_answers_otherwise_is_refused(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison runs on the real export; only the weights torch answers with differ."""
    load = torch.export.load

    def altered(path: Path) -> torch.export.ExportedProgram:
        program = load(path)
        module = program.module

        def moved() -> nn.Module:
            with torch.no_grad():
                next(iter(program.state_dict.values())).add_(0.01)
            return module()

        monkeypatch.setattr(program, "module", moved)
        return program

    monkeypatch.setattr(torch.export, "load", altered)
    assert "differs from torch by" in str(refused(saved))


def test_parity_is_of_the_largest_element(saved: Path) -> None:
    source: SourceModel = TorchImporter().read(saved, trust_pickle=False)
    image, kind = torch.randn(3, 1, 8, 8).numpy(), torch.tensor([0, 1, 2]).numpy()
    fed = {"image": image, "kind": kind}
    with pytest.raises(ModelError, match="has 2 outputs, torch answers with 1"):
        refuse_disagreement(source.data, fed, [image], framework="torch")
    with pytest.raises(ModelError, match=r"is \[3, 4\], torch answers \[3, 1, 8, 8\]"):
        refuse_disagreement(source.data, fed, [image, image], framework="torch")
