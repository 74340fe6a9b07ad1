# SPDX-License-Identifier: Apache-2.0
from pathlib import Path
from typing import Any

import msgspec
import pytest

from insight_edge.documents.codec import decode_toml
from insight_edge.documents.facts import Facts
from insight_edge.documents.profile import (
    Accelerator,
    Cpu,
    Dram,
    EngineSupport,
    Figure,
    HardwareProfile,
    Source,
    exceeds,
    figures,
    mismatch,
    unsourced,
)
from insight_edge.errors import DocumentError

GIB = 2**30
PROFILES = Path(__file__).parents[3] / "hardware_profiles"


def profile(**changes: Any) -> HardwareProfile:
    cpu = Cpu(
        arch="aarch64",
        model=Figure(value="Cortex-A76", source="maker"),
        isa=Figure(value=("asimd", "asimddp"), source="maker"),
        cores=Figure(value=4, source="maker"),
    )
    plain = HardwareProfile(
        id="board",
        name="A board",
        cpu=cpu,
        dram=Dram(length_bytes=Figure(value=8 * GIB, source="maker")),
        engines={"onnxruntime": EngineSupport(precisions=("fp32",))},
        sources={"maker": Source(address="https://example.org", date="2026-01-01")},
    )
    return msgspec.structs.replace(plain, **changes)


def facts(**changes: Any) -> Facts:
    plain = Facts(
        arch="aarch64",
        cpu_model="Cortex-A76",
        isa=("fp", "asimd", "asimddp"),
        cores=4,
        memory_bytes=8 * GIB,
        os="linux",
    )
    return msgspec.structs.replace(plain, **changes)


def test_machine_of_the_class_matches() -> None:
    assert mismatch(profile(), facts()) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"cores": 64},
        {"memory_bytes": 64 * GIB},
        {"isa": ("asimd", "asimddp", "sve")},
        {"accelerators": ("H200",)},
        {"memory_bytes": int(7.3 * GIB)},
    ],
)
def test_more_capable_machine_and_one_that_reserves_memory_match(changes: dict[str, Any]) -> None:
    assert mismatch(profile(), facts(**changes)) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"arch": "x86_64"}, "is aarch64, this machine is x86_64"),
        ({"isa": ("asimd",)}, "needs asimddp, which this CPU has not"),
        ({"isa": ()}, "needs asimd, asimddp, which this CPU has not"),
        ({"cores": 3}, "has 4 cores, this machine has 3"),
        ({"memory_bytes": 4 * GIB}, "has 8.0 GiB of memory, this machine has 4.0"),
    ],
)
def test_less_capable_machine_is_told_why_it_cannot_stand_in(
    changes: dict[str, Any], reason: str
) -> None:
    assert mismatch(profile(), facts(**changes)) == reason


def test_machine_without_the_accelerator_cannot_stand_in() -> None:
    gpu = Accelerator(kind="gpu", model=Figure(value="Orin", source="maker"))
    wanted = profile(accelerators=(gpu,))
    assert mismatch(wanted, facts()) == "has Orin, which this machine has not"
    assert mismatch(wanted, facts(accelerators=("Orin",))) is None


def test_only_the_same_processor_measures_the_class_itself() -> None:
    assert not exceeds(profile(), facts())
    assert exceeds(profile(), facts(cpu_model="Neoverse-V2"))


def test_every_figure_is_found_by_its_dotted_name() -> None:
    found = figures(profile(peak_ops_per_s={"int8": Figure(value=1e12, source="nobody")}))
    assert list(found) == [
        "cpu.model",
        "cpu.isa",
        "cpu.cores",
        "dram.length_bytes",
        "peak_ops_per_s.int8",
    ]
    assert found["cpu.cores"].value == 4


def test_figures_without_a_listed_source_are_named() -> None:
    assert unsourced(profile()) == ()
    guessed = profile(price_usd=Figure(value=80.0, source="hearsay"))
    assert unsourced(guessed) == ("price_usd",)


def test_misspelled_required_key_is_named_with_the_nearest_one() -> None:
    text = (PROFILES / "azure-b1ms.toml").read_text().replace("cores =", "coers =")
    with pytest.raises(DocumentError, match=r"unknown key 'cpu\.coers'") as raised:
        decode_toml(HardwareProfile, text.encode())
    assert raised.value.hint == "did you mean 'cores'?"
