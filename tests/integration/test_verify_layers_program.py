# SPDX-License-Identifier: Apache-2.0
"""A file that litert-torch made of a program is compared with it layer by layer, by its names."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from insight_edge.bundle.open import open_bundle
from insight_edge.bundle.write import file_entry
from insight_edge.compile.backends.tflite import WHOLE
from insight_edge.compile.building.outcome import Built
from insight_edge.compile.layers.layer_report import LayerReport
from insight_edge.compile.layers.layerwise import layer_report
from insight_edge.compile.reading import read_source
from insight_edge.compile.sources.source import SourceModel
from insight_edge.compile.toolchains.environments import environment_python
from insight_edge.compile.trials.package import Part, package
from insight_edge.compile.trials.question import ask
from insight_edge.documents.evidence import Evidence
from insight_edge.documents.facts import Facts
from insight_edge.documents.manifest import Provenance
from insight_edge.documents.target import target_from_token
from insight_edge.errors import ToolchainMissingError
from tests.fakes.device_packages import device_python
from tests.integration.test_torch_to_tflite import built, saved

pytestmark = pytest.mark.slow

FACTS = Facts(arch="x86_64", cpu_model="c", isa=(), cores=1, memory_bytes=1, os="linux")


class Network(nn.Module):
    """Two branches that meet, of tensors that are all of one size."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(8, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.deep = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        first = nn.functional.silu(self.norm(self.stem(x)))
        second = torch.relu(self.deep(first)) + first
        answer: Tensor = self.head(second.mean((2, 3)))
        return answer


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[SourceModel, Network, Path, Built]:
    try:
        environment_python(f"toolchain-{WHOLE}")
    except ToolchainMissingError as error:
        pytest.skip(f"{error} ({error.hint})")
    if device_python("tflite") is None:
        pytest.skip("the environment 'device-tflite' is not installed")
    place = tmp_path_factory.mktemp("program")
    torch.manual_seed(0)
    network = Network()
    source = read_source(saved(place / "p.pt2", network, torch.randn(4, 8, 8, 8)))
    outcome = built(source, place)
    assert isinstance(outcome, Built), outcome
    return source, network, place, outcome


def report_of(source: SourceModel, place: Path, built_: Built) -> LayerReport:
    evidence = Evidence(
        model_digest=source.digest, profile="box", measured_on=FACTS, trials=(), created="now"
    )
    part = Part(target=target_from_token("tflite:fp32"), built=built_)
    package(place, source, ask(source, None), evidence, [part], Provenance())
    bundle = open_bundle(place, allow_unsigned=True)
    return layer_report(bundle, bundle.manifest.variants[0], source)


def test_sound_file_is_read_by_the_names_of_the_program(
    made: tuple[SourceModel, Network, Path, Built],
) -> None:
    source, _, place, outcome = made
    report = report_of(source, place / "sound", outcome)
    assert (report.found, report.first, report.builds) == ("read", None, 0)
    assert {"silu", "relu", "add", "mean"} <= {error.tensor for error in report.errors}
    assert min(error.sqnr_db for error in report.errors) > 90


def test_weight_that_is_wrong_in_the_file_is_found_in_its_layer(
    made: tuple[SourceModel, Network, Path, Built],
) -> None:
    source, network, place, outcome = made
    damaged = place / "damaged"
    shutil.copytree(outcome.directory, damaged)
    (entry,) = outcome.files
    weights = network.deep.weight.detach().numpy().transpose(1, 2, 3, 0)
    before = np.ascontiguousarray(weights).tobytes()
    data = (damaged / entry.path).read_bytes()
    assert data.count(before) == 1
    turned = np.ascontiguousarray(-weights).tobytes()
    (damaged / entry.path).write_bytes(data.replace(before, turned))
    files = (file_entry(entry.path, damaged / entry.path),)
    report = report_of(source, place / "fault", replace(outcome, directory=damaged, files=files))
    assert report.found == "read"
    assert report.first is not None
    assert report.first.tensor == "relu"
