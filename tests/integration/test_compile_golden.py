# SPDX-License-Identifier: Apache-2.0
"""Golden samples reject a model that is not the one proven, however little is wrong with it.

A network is trained and compiled. Each test then plants one mistake in a bundle
that is whole, with digests that agree, and asks what a device asks before a swap.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, numpy_helper

from insight_edge.bundle.limits import MANIFEST_NAME
from insight_edge.bundle.open import Bundle, open_bundle
from insight_edge.bundle.write import copy_bundle, file_entry
from insight_edge.compile.compiler import compile_model
from insight_edge.compile.profiles.reading import find_profile
from insight_edge.compile.settings import Settings
from insight_edge.documents.codec import encode_json
from insight_edge.documents.manifest import Manifest, Variant
from insight_edge.documents.steps import AnyStep, Label, Scale
from insight_edge.documents.target import target_from_token
from insight_edge.errors import SelfCheckError
from insight_edge.runtime.candidate import stage

pytestmark = pytest.mark.slow

FACTOR = 1 / 16
"""What the trained model's images are multiplied by."""


@dataclass(frozen=True)
class Layer:
    """The initializers of a layer whose first dimension are its output channels."""

    weights: tuple[str, ...]
    channels: int


class Planted:
    """A copy of a bundle in which mistakes are planted."""

    def __init__(self, bundle: Bundle, directory: Path) -> None:
        copy_bundle(bundle, directory)
        self.manifest = bundle.manifest
        self._directory = directory

    @property
    def variant(self) -> Variant:
        return self.manifest.variants[0]

    def artifact(self) -> ModelProto:
        return onnx.load(self._directory / self.variant.entry)

    def rejected(self, artifact: ModelProto | None = None, **changes: Any) -> bool:
        """Return whether the bundle is rejected with this artifact or these manifest fields."""
        manifest = msgspec.structs.replace(self.manifest, **changes)
        if artifact is not None:
            manifest = self._with_artifact(manifest, artifact.SerializeToString())
        (self._directory / MANIFEST_NAME).write_bytes(encode_json(manifest))
        opened = open_bundle(self._directory, allow_unsigned=True)
        candidate = stage(opened, variant=None, threads=1)
        try:
            candidate.verify(candidate.bundle.golden())
        except SelfCheckError:
            return True
        finally:
            candidate.discard()
        return False

    def _with_artifact(self, manifest: Manifest, data: bytes) -> Manifest:
        variant = manifest.variants[0]
        (self._directory / variant.entry).write_bytes(data)
        # Files that were optimised for a processor are read as they are; this one is not.
        changed = msgspec.structs.replace(
            variant,
            files=(file_entry(variant.entry, data),),
            settings=variant.settings | {"optimized": "no"},
        )
        return msgspec.structs.replace(manifest, variants=(changed,))


@pytest.fixture(scope="module", params=["onnxruntime:fp32", "onnxruntime:int8"])
def bundle(
    request: pytest.FixtureRequest,
    trained: Path,
    here: Path,
    builds: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Bundle:
    settings = Settings(
        only=(target_from_token(request.param),), rounds=5, max_drop_pp=50.0, cache=builds
    )
    done = compile_model(
        trained / "model.onnx",
        find_profile(str(here)),
        tmp_path_factory.mktemp("golden") / "b",
        samples=trained / "data.npz",
        settings=settings,
    )
    return open_bundle(done.bundle, allow_unsigned=True)


@pytest.fixture
def planted(bundle: Bundle, tmp_path: Path) -> Planted:
    return Planted(bundle, tmp_path / "planted")


@pytest.fixture
def model(planted: Planted, trained: Path) -> ModelProto:
    """Return the model to plant a mistake in.

    The FP32 artifact may be laid out for one processor, so that its rows are no channels:
    the source model takes its place, which the same engine then optimises itself.
    """
    if planted.variant.target.precision == "int8":
        return planted.artifact()
    return onnx.load(trained / "model.onnx")


def layers_of(model: ModelProto) -> list[Layer]:
    carried = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    made_from = {name: node.input[0] for node in model.graph.node for name in node.output}
    found = []
    for node in model.graph.node:
        if node.op_type in {"Conv", "Gemm"}:
            names = [name if name in carried else made_from[name] for name in node.input[1:]]
            found.append(Layer(weights=tuple(names), channels=carried[names[0]][0]))
    return found


def rearranged(
    model: ModelProto, layer: Layer, order: Sequence[int], sign: NDArray[np.int8]
) -> ModelProto:
    """Return the model with a layer's output channels in another order and of another sign."""
    changed = ModelProto()
    changed.CopyFrom(model)
    scales = set(_scales(model, layer))
    for tensor in changed.graph.initializer:
        if tensor.name in scales or tensor.name in layer.weights:
            rows = numpy_helper.to_array(tensor)[list(order)]
            if tensor.name in layer.weights:
                rows = (rows.T * sign).T.astype(rows.dtype)
            tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(rows), tensor.name))
    return changed


def _scales(model: ModelProto, layer: Layer) -> Iterator[str]:
    """Yield the scales and zero points of a quantised layer's channels."""
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in layer.weights:
            yield from node.input[1:]


def flipped(model: ModelProto, layer: Layer, channel: int) -> ModelProto:
    sign = np.ones(layer.channels, np.int8)
    sign[channel] = -1
    return rearranged(model, layer, range(layer.channels), sign)


def permuted(model: ModelProto, layer: Layer, order: Sequence[int]) -> ModelProto:
    return rearranged(model, layer, order, np.ones(layer.channels, np.int8))


def test_untouched_bundle_passes(planted: Planted, model: ModelProto) -> None:
    assert planted.manifest.golden.source == "data"
    assert not planted.rejected()
    # What mistakes are planted in is itself as good as the artifact.
    assert not planted.rejected(model)


def test_permuted_classes_are_rejected(planted: Planted, model: ModelProto) -> None:
    last = layers_of(model)[-1]
    classes = list(range(last.channels))
    assert planted.rejected(permuted(model, last, classes[1:] + classes[:1]))
    for one, other in itertools.combinations(classes, 2):
        order = list(classes)
        order[one], order[other] = other, one
        assert planted.rejected(permuted(model, last, order)), (one, other)


def test_permuted_class_names_are_rejected(planted: Planted) -> None:
    def renamed(step: AnyStep) -> AnyStep:
        if not isinstance(step, Label):
            return step
        return msgspec.structs.replace(step, classes=(*step.classes[1:], step.classes[0]))

    post = tuple(renamed(step) for step in planted.manifest.post)
    assert post != planted.manifest.post
    assert planted.rejected(post=post)


@pytest.mark.parametrize(
    ("factor", "offset"),
    [(1 / 255, 0.0), (1.0, 0.0), (FACTOR, -0.5), (2 * FACTOR, -1.0), (1.05 * FACTOR, 0.0),
     (FACTOR, 0.05), (-FACTOR, 0.0)],
)  # fmt: skip
def test_wrong_normalisation_is_rejected(planted: Planted, factor: float, offset: float) -> None:
    assert planted.rejected(pre=tuple(_scaled(s, factor, offset) for s in planted.manifest.pre))


def test_missing_normalisation_is_rejected(planted: Planted) -> None:
    steps = tuple(step for step in planted.manifest.pre if not isinstance(step, Scale))
    assert len(steps) == len(planted.manifest.pre) - 1
    assert planted.rejected(pre=steps)


def test_flipped_sign_of_any_channel_of_any_layer_is_rejected(
    planted: Planted, model: ModelProto
) -> None:
    layers = layers_of(model)
    assert [layer.channels for layer in layers] == [12, 24, 48, 10]
    passed = [
        (layer.weights[0], channel)
        for layer in layers
        for channel in range(layer.channels)
        if not planted.rejected(flipped(model, layer, channel))
    ]
    assert passed == []


def _scaled(step: AnyStep, factor: float, offset: float) -> AnyStep:
    if not isinstance(step, Scale):
        return step
    return msgspec.structs.replace(step, factor=factor, offset=offset)
