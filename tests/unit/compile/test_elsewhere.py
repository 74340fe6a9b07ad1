# SPDX-License-Identifier: Apache-2.0
"""What is built by another machine, and what is not because it cannot either."""

from dataclasses import dataclass

import msgspec
import pytest

from insight_edge.compile.refusals.refusal import OnDeviceOnly
from insight_edge.compile.sources.source import source_from_onnx
from insight_edge.compile.targets.elsewhere import lacking
from insight_edge.compile.targets.plan import Planned, offers
from insight_edge.compile.toolchains.toolchain import Toolchain
from insight_edge.documents.facts import Facts, Missing
from insight_edge.documents.target import Target
from tests.fakes.hardware import profile_of
from tests.fakes.onnx_models import conv_model

TOOLCHAIN = Toolchain(versions={"fakec": "1.0"})
NONE = Missing(name="fake", reason="not installed")
ONLY_THERE = OnDeviceOnly("built on the GPU itself", hint="go there", accelerator="Orin")
FACTS = Facts(
    arch="aarch64", cpu_model="A78", isa=(), cores=6, memory_bytes=2**33, os="L",
    accelerators=("Orin",),
)  # fmt: skip


@dataclass
class There:
    """A builder with the toolchain and facts it is given."""

    found: Toolchain | Missing = TOOLCHAIN
    facts: Facts = FACTS

    def toolchain(self, token: str) -> Toolchain | Missing:  # noqa: ARG002
        return self.found


@dataclass
class Fake:
    """A backend with the toolchain and the refusal it is given."""

    found: Toolchain | Missing
    refusal: str | None = None

    def toolchain(self) -> Toolchain | Missing:
        return self.found

    def targets(self) -> tuple[Target, ...]:
        return (Target(backend="fake", precision="fp32"),)

    def refuse(self, *_: object) -> str | None:
        return self.refusal

    def build(self, *_: object) -> None:
        raise AssertionError


def offered(backend: Fake, builder: There | None) -> Planned:
    (planned,) = offers(
        {"fake": backend},  # type: ignore[dict-item]  # it is not built
        source_from_onnx(conv_model().SerializeToString(), name="m", importer="onnx"),
        profile_of(),
        builder=builder,
    )
    return planned


def test_toolchain_here_is_used_here() -> None:
    planned = offered(Fake(TOOLCHAIN), There())
    assert (planned.refusal, planned.elsewhere) == (None, False)


def test_toolchain_there_is_used_there() -> None:
    assert lacking(NONE, "fake", There()) is None
    planned = offered(Fake(NONE), There())
    assert (planned.refusal, planned.elsewhere) == (None, True)


def test_model_that_the_backend_refuses_is_not_sent_anywhere() -> None:
    planned = offered(Fake(NONE, "no Conv"), There())
    assert (planned.refusal, planned.elsewhere) == ("no Conv", False)


@pytest.mark.parametrize(
    ("builder", "said"),
    [
        (None, "toolchain missing: not installed"),
        (There(NONE), "toolchain missing: not installed; nor has the builder it: not installed"),
    ],
)
def test_toolchain_that_nobody_has_is_missing(builder: There | None, said: str) -> None:
    planned = offered(Fake(NONE), builder)
    assert (planned.refusal, planned.toolchain_missing) == (said, True)


def test_what_only_a_device_builds_goes_to_the_builder_that_is_one() -> None:
    planned = offered(Fake(TOOLCHAIN, ONLY_THERE), There())
    assert (planned.refusal, planned.elsewhere, planned.hint) == (None, True, None)


@pytest.mark.parametrize(
    ("builder", "said"),
    [
        (There(facts=msgspec.structs.replace(FACTS, accelerators=("Other",))), "has no Orin"),
        (There(NONE), "lacks the toolchain: not installed"),
        (None, ""),
    ],
)
def test_what_only_a_device_builds_is_refused_without_it(builder: There | None, said: str) -> None:
    planned = offered(Fake(TOOLCHAIN, ONLY_THERE), builder)
    added = f"; the builder {said}" if said else ""
    assert planned.refusal == f"built on the GPU itself{added}"
    assert not planned.elsewhere
