# SPDX-License-Identifier: Apache-2.0
"""What is said of targets before they are built, by backends made for it."""

from collections.abc import Mapping

import msgspec
import pytest

from insight_edge.compile.refusals.refusal import Refusal
from insight_edge.compile.sources.source import SourceModel, source_from_onnx
from insight_edge.compile.targets.preflight import Preflight, preflight, roof_of
from insight_edge.compile.toolchains.toolchain import Toolchain
from insight_edge.documents.facts import Missing
from insight_edge.documents.profile import Caches, Figure, HardwareProfile, Limits
from insight_edge.documents.target import Target
from insight_edge.selection.footprint import MIB, Footprint
from tests.fakes.hardware import GPU, profile_of
from tests.fakes.onnx_models import conv_model

FP32 = Target(backend="fake", precision="fp32")


def figure(value: float) -> Figure[float]:
    return Figure(value=value, source="s")


class Plain:
    """Has one target and knows nothing of memory."""

    def __init__(self, refusal: str | None = None, toolchain: Missing | None = None) -> None:
        self._refusal = refusal
        self._toolchain = toolchain

    def toolchain(self) -> Toolchain | Missing:
        return self._toolchain or Toolchain(versions={})

    def targets(self) -> tuple[Target, ...]:
        return (FP32,)

    def refuse(self, *_: object) -> str | None:
        return self._refusal

    def build(self, *_: object) -> object:
        raise NotImplementedError


class Weighing(Plain):
    """Knows what its engine takes."""

    def footprint(self, target: Target) -> Footprint | None:
        assert target == FP32
        return Footprint(base_bytes=MIB, weights=1.0, activations=1.0)


@pytest.fixture(scope="module")
def source() -> SourceModel:
    return source_from_onnx(conv_model().SerializeToString(), name="m", importer="onnx")


def looked_at(backend: object, source: SourceModel, **limits: float) -> Preflight:
    profile: HardwareProfile = profile_of(engines={"fake": ["fp32"]})
    profile = msgspec.structs.replace(profile, limits=Limits(**limits))  # type: ignore[arg-type]
    found: Mapping[str, object] = {"fake": backend}
    return preflight(found, source, profile)  # type: ignore[arg-type]


def test_what_is_measured_fits_and_what_is_not_is_unknown(source: SourceModel) -> None:
    for backend, verdict in ((Weighing(), "yes"), (Plain(), "unknown")):
        (forecast,) = looked_at(backend, source, memory_bytes=4 * MIB).forecasts
        assert forecast.fit is not None
        assert forecast.fit.verdict == verdict
        assert forecast.passes


def test_hint_of_a_refusal_travels_and_its_reason_is_plain_text(source: SourceModel) -> None:
    (forecast,) = looked_at(Plain(Refusal("no Foo", hint="replace Foo")), source).forecasts
    assert (forecast.planned.refusal, forecast.planned.hint) == ("no Foo", "replace Foo")
    assert type(forecast.planned.refusal) is str
    assert not forecast.passes


def test_missing_toolchain_is_told_apart_from_what_nothing_would_change(
    source: SourceModel,
) -> None:
    missing = Missing(name="fake", reason="not installed")
    assert looked_at(Plain(toolchain=missing), source).lacks_toolchain
    assert not looked_at(Plain("never"), source).lacks_toolchain
    assert not looked_at(Weighing(), source).lacks_toolchain


def test_roof_takes_only_figures_of_the_precision_or_higher_ones() -> None:
    plain = profile_of()
    cpu = msgspec.structs.replace(
        plain.cpu, caches=Caches(l3_bytes=Figure(value=2 * MIB, source="s"))
    )
    profile = msgspec.structs.replace(
        plain,
        cpu=cpu,
        dram=msgspec.structs.replace(plain.dram, bandwidth_bytes_per_s=figure(5.0)),
        peak_ops_per_s={"fp32": figure(3.0), "int8": figure(9.0)},
    )
    for precision, peak in (("fp32", 3.0), ("bf16", None), ("int8", 9.0)):
        roof = roof_of(profile, precision, None)  # type: ignore[arg-type]
        assert (roof.ops_per_s, roof.bandwidth_bytes_per_s) == (peak, 5.0)
        assert roof.cache_bytes == 2 * MIB


def test_accelerator_has_a_roof_of_its_own() -> None:
    fast = msgspec.structs.replace(GPU, peak_ops_per_s={"fp16": figure(7.0), "int8": figure(1.0)})
    assert roof_of(profile_of(), "fp16", fast).ops_per_s == 7.0
    assert roof_of(profile_of(), "fp32", fast).ops_per_s is None
    assert roof_of(profile_of(), "int8", fast).ops_per_s == 7.0
