# SPDX-License-Identifier: Apache-2.0
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from insight_cloud.platform.errors import TrainingError
from insight_cloud.training.config import FittingSection
from insight_cloud.training.images.augmentation import AugmentationSection, augment
from insight_cloud.training.images.fitting import fit, repeatable
from insight_cloud.training.images.model import ImageFormat
from insight_cloud.training.images.network import ConvolutionalNetwork
from insight_cloud.training.task import Progress
from insight_edge.documents.tensors import TensorSpec
from insight_edge.transforms.observed import check_observe

STILL = AugmentationSection(shift=0, rotation_deg=0, zoom=0, brightness=0, noise=0)
FORMAT = ImageFormat(
    image=TensorSpec(name="image", dtype="uint8", shape=("batch", 8, 8)),
    peak=16.0,
    height=32,
    width=32,
    classes=("a", "b"),
)


def square(rows: int = 4) -> Tensor:
    images = torch.zeros(rows, 1, 32, 32)
    images[:, :, 12:20, 12:20] = 1
    return images


def change(section: AugmentationSection, seed: int = 0) -> Tensor:
    return augment(square(), torch.Generator().manual_seed(seed), section=section)


def centre_of_mass(images: Tensor) -> Tensor:
    place = torch.arange(32, dtype=torch.float32)
    mass = images.sum((1, 2, 3))
    down = (images.sum((1, 3)) * place).sum(1) / mass
    across = (images.sum((1, 2)) * place).sum(1) / mass
    return torch.stack([down, across], 1)


def test_nothing_changes_when_every_change_is_off() -> None:
    torch.testing.assert_close(change(STILL), square())


def test_equal_seeds_change_equally() -> None:
    assert torch.equal(change(AugmentationSection(), 3), change(AugmentationSection(), 3))
    assert not torch.equal(change(AugmentationSection(), 3), change(AugmentationSection(), 4))


def test_each_row_is_changed_on_its_own() -> None:
    changed = change(AugmentationSection(noise=0))
    assert len({row.numpy().tobytes() for row in changed}) == len(changed)


def test_a_shift_moves_the_centre_by_no_more_than_its_share() -> None:
    moved = change(AugmentationSection(shift=0.1, rotation_deg=0, zoom=0, brightness=0, noise=0))
    distance = (centre_of_mass(moved) - centre_of_mass(square())).abs()
    assert 0.1 < distance.max() <= 0.1 * 32 + 1e-3


def test_a_rotation_keeps_centre_and_mass() -> None:
    turned = change(AugmentationSection(shift=0, rotation_deg=45, zoom=0, brightness=0, noise=0))
    torch.testing.assert_close(centre_of_mass(turned), centre_of_mass(square()), atol=0.05, rtol=0)
    torch.testing.assert_close(turned.sum((1, 2, 3)), square().sum((1, 2, 3)), atol=0, rtol=0.05)
    assert (turned - square()).abs().max() > 0.3


def test_a_zoom_changes_the_area_by_its_square() -> None:
    zoomed = change(AugmentationSection(shift=0, rotation_deg=0, zoom=0.2, brightness=0, noise=0))
    area = zoomed.sum((1, 2, 3)) / square().sum((1, 2, 3))
    assert ((area > 0.8**2 - 0.05) & (area < 1.2**2 + 0.05)).all()
    assert (area - 1).abs().max() > 0.05


def test_preparing_gives_the_network_values_between_zero_and_one() -> None:
    images = np.stack([np.zeros((8, 8), np.uint8), np.full((8, 8), 16, np.uint8)])
    prepared = FORMAT.prepare(images)
    assert prepared.shape == (2, 1, 32, 32)
    assert prepared.dtype == np.float32
    assert np.unique(prepared[0]) == [0.0]
    assert np.unique(prepared[1]) == [1.0]


def test_callers_receive_probabilities_class_and_label() -> None:
    assert [(spec.name, spec.dtype, spec.shape) for spec in FORMAT.outputs] == [
        ("probabilities", "float32", ("batch", 2)),
        ("class", "int64", ("batch",)),
        ("label", "str", ("batch",)),
    ]


def test_what_is_observed_can_be_computed() -> None:
    check_observe(FORMAT.observe, [FORMAT.image], FORMAT.outputs)


def small_network() -> ConvolutionalNetwork:
    return ConvolutionalNetwork(channels=(4, 8), hidden=8, classes=2, height=8, width=8)


def halves(rows: int = 40) -> TensorDataset:
    labels = torch.arange(rows) % 2
    images = torch.zeros(rows, 1, 8, 8)
    images[labels == 0, :, :4] = 1
    images[labels == 1, :, 4:] = 1
    return TensorDataset(images, labels)


def still(images: Tensor, generator: torch.Generator) -> Tensor:
    del generator
    return images


def fitted(seed: int) -> tuple[nn.Module, list[Progress]]:
    told: list[Progress] = []
    torch.rand(1)  # what was drawn before must not matter
    with repeatable(seed=seed, threads=1):
        network = small_network()
        section = FittingSection(epochs=4, batch=8, learning_rate=0.02, seed=seed)
        fit(network, halves(), section, vary=partial(augment, section=STILL), progress=told.append)
    return network, told


def test_fitting_learns_what_is_easy_and_tells_of_every_epoch() -> None:
    network, told = fitted(0)
    images, labels = halves().tensors
    assert [(one.epoch, one.epochs) for one in told] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert told[-1].loss < told[0].loss
    assert not network.training
    with torch.inference_mode():
        assert torch.equal(network(images).argmax(1), labels)


def test_equal_seeds_fit_equal_parameters() -> None:
    one, other, third = (dict(fitted(seed)[0].state_dict()) for seed in (5, 5, 6))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not all(torch.equal(one[name], third[name]) for name in one)


def test_a_diverging_fit_is_refused() -> None:
    rows = TensorDataset(torch.full((8, 1, 8, 8), torch.nan), torch.zeros(8, dtype=torch.int64))
    with pytest.raises(TrainingError, match="epoch 1") as caught:
        fit(small_network(), rows, FittingSection(), vary=still, progress=lambda _: None)
    assert caught.value.hint == "lower fitting.learning_rate"


def test_repeatable_leaves_torch_as_it_was() -> None:
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    state = torch.random.get_rng_state()
    with repeatable(seed=1, threads=before[0] + 1):
        assert torch.get_num_threads() == before[0] + 1
        torch.rand(1)
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before
    assert torch.equal(torch.random.get_rng_state(), state)
