# SPDX-License-Identifier: Apache-2.0
import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_edge.bench.machine import machine_facts
from insight_edge.cli import device_engines
from insight_edge.cli.main import build_app, run
from insight_edge.compile.profiles.reading import (
    MAX_PROFILE_BYTES,
    find_profile,
    flaws,
    profile_from_facts,
    read_profile,
    shipped_profiles,
)
from insight_edge.compile.profiles.writing import write_profile
from insight_edge.compile.toolchains.environments import device_python
from insight_edge.compile.toolchains.shipped import shipped_folder
from insight_edge.documents.codec import decode_toml
from insight_edge.documents.facts import EngineFacts, Facts, Missing
from insight_edge.documents.profile import (
    Accelerator,
    Caches,
    Cpu,
    Dram,
    EngineSupport,
    Figure,
    HardwareProfile,
    Limits,
    PowerMode,
    Source,
    exceeds,
    figures,
    mismatch,
    unsourced,
)
from insight_edge.documents.versions import satisfies
from insight_edge.errors import ConfigurationError, DocumentError, LimitExceededError
from insight_edge.runtime.loading import engine_facts, engines

PATHS = sorted(shipped_folder("hardware_profiles").glob("*.toml"))
GIB = 2**30
V3 = ("sse4_2", "popcnt", "avx", "f16c", "fma", "avx2", "bmi1", "bmi2", "movbe")
TODAY = date(2026, 11, 21)
SPARE = '[sources.spare]\naddress = "https://example.org"\ndate = "2026-11-21"\n\n'


def facts(**changes: Any) -> Facts:
    host = Facts(
        arch="x86_64",
        cpu_model="AMD EPYC",
        isa=V3,
        cores=2,
        memory_bytes=int(7.7 * GIB),
        os="Debian GNU/Linux 12 (bookworm)",
    )
    return msgspec.structs.replace(host, **changes)


def edited(tmp_path: Path, old: str, new: str) -> Path:
    """Return a copy of a shipped profile in which one text is another."""
    text = (shipped_folder("hardware_profiles") / "rpi5-8gb.toml").read_text()
    assert old in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new))
    return path


def profiles_verb(*arguments: str) -> int:
    return run(build_app(), ["profiles", *arguments])


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_shipped_profile_is_sound_and_named_like_its_file(path: Path) -> None:
    profile = read_profile(path)
    assert profile.id == path.stem
    assert flaws(profile) == ()
    assert all(re.match(r"https?://", source.address) for source in profile.sources.values())
    assert all(source.date == TODAY.isoformat() for source in profile.sources.values())


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_shipped_profile_has_engines_limits_and_a_decision_on_accuracy(path: Path) -> None:
    profile = read_profile(path)
    assert all("fp32" in support.precisions for support in profile.engines.values())
    assert set(profile.engines) <= {"onnxruntime", "openvino", "tensorrt", "tvm", "tflite"}
    limits = profile.limits
    assert None not in {limits.latency_p50_ms, limits.artifact_bytes, limits.max_drop_pp}
    assert (limits.memory_bytes or 0) <= profile.dram.length_bytes.value // 2


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_written_profile_reads_back_the_same(path: Path, tmp_path: Path) -> None:
    profile = read_profile(path)
    copy = tmp_path / path.name
    copy.write_text(write_profile(profile))
    assert read_profile(copy) == profile


def test_at_least_twelve_classes_are_shipped() -> None:
    assert len(shipped_profiles()) >= 12
    assert list(shipped_profiles()) == [path.stem for path in PATHS]


def test_three_x86_classes_accept_any_v3_host_of_two_cores_and_8_gib() -> None:
    matching = [name for name, p in shipped_profiles().items() if mismatch(p, facts()) is None]
    assert set(matching) >= {"ec2-c6a-large", "hp-t540-8gb", "azure-b1ms"}


@pytest.mark.parametrize(
    ("name", "memory_bytes"),
    [
        ("azure-b1ms", 1909 * 2**20),
        ("ec2-c6a-large", 3870 * 2**20),
        ("lattepanda-mu-8gb", 7640 * 2**20),
        ("rpi4-4gb", 3790 * 2**20),
        ("rpi5-8gb", 7942 * 2**20),
        ("imx8mm-evk", 1930 * 2**20),
        ("orin-nano-8gb", 7620 * 2**20),
    ],
)
def test_device_is_a_member_of_its_own_class_with_the_memory_its_kernel_leaves(
    name: str, memory_bytes: int
) -> None:
    profile = find_profile(name)
    cpu = profile.cpu
    device = facts(
        arch=cpu.arch,
        cpu_model=cpu.model.value,
        isa=cpu.isa.value,
        cores=cpu.cores.value,
        memory_bytes=memory_bytes,
        accelerators=tuple(a.model.value for a in profile.accelerators),
    )
    assert mismatch(profile, device) is None
    assert not exceeds(profile, device)


def test_unsourced_names_the_figures_whose_source_is_not_listed() -> None:
    profile = find_profile("rpi5-8gb")
    listed = {key: source for key, source in profile.sources.items() if key != "review"}
    bare = msgspec.structs.replace(profile, sources=listed)
    assert unsourced(bare) == ("form_factor", "dram.length_bytes", "price_usd")
    assert unsourced(profile) == ()


def test_figures_are_found_in_tables_and_lists() -> None:
    named = figures(find_profile("orin-nano-8gb"))
    assert named["cpu.caches.l2_bytes"].value == 262_144
    assert named["accelerators.0.peak_ops_per_s.int8"].value == 33e12
    assert named["power_modes.1.power_w"].value == 25.0


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[sources.review]\n", "[sources.reviews]\n", "names the source 'review'"),
        ("[sources.review]", SPARE + "[sources.review]", "source 'spare' is listed"),
        ("https://github.com/geerlingguy/sbc-reviews/issues/21", "a forum", "source 'review'"),
        ('date = "2026-11-21"', 'date = "21 November"', "not YYYY-MM-DD"),
        ('id = "rpi5-8gb"', 'id = "RPi 5"', "id 'RPi 5'"),
        ('{ value = 17.0e9, source = "bcm2712" }', "17.0e9", "$.dram.bandwidth_bytes_per_s"),
        ('{ value = 17.0e9, source = "bcm2712" }', "{ value = 17.0e9 }", "`source`"),
        ('[cpu]\narch = "aarch64"', "[cpu]", "`arch`"),
        ("[cpu]", "[cpu", "not TOML"),
        ("format = 1", "format = 2", "format 2 is newer"),
    ],
)  # fmt: skip
def test_profile_is_refused_with_its_path(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = edited(tmp_path, old, new)
    with pytest.raises(DocumentError) as caught:
        read_profile(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_unknown_key_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    path = edited(tmp_path, "latency_p50_ms", "latency_p5O_ms")
    with pytest.raises(DocumentError, match=r"unknown key 'limits\.latency_p5O_ms'") as caught:
        read_profile(path)
    assert caught.value.hint == "did you mean 'latency_p50_ms'?"


def test_huge_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge.toml"
    path.write_bytes(b"#" * (MAX_PROFILE_BYTES + 1))
    with pytest.raises(LimitExceededError, match=r"huge\.toml"):
        read_profile(path)


def test_find_takes_an_id_or_a_file(tmp_path: Path) -> None:
    path = edited(tmp_path, 'id = "rpi5-8gb"', 'id = "my-pi"')
    assert find_profile("rpi5-8gb").id == "rpi5-8gb"
    assert find_profile(str(path)).id == "my-pi"


@pytest.mark.parametrize(
    ("name", "said", "hint"),
    [
        ("rpi5-8bg", "the id 'rpi5-8bg'", "did you mean 'rpi5-8gb'?"),
        ("zzz", "the id 'zzz'", "see: insight-edge profiles list"),
        ("../hardware_profiles/rpi5-8gb", "the id '../", "see: insight-edge profiles list"),
        ("no-such.toml", "cannot read no-such.toml", None),
    ],
)
def test_find_refuses_what_is_not_there(name: str, said: str, hint: str | None) -> None:
    with pytest.raises(ConfigurationError) as caught:
        find_profile(name)
    assert said in str(caught.value)
    assert caught.value.hint == hint


def test_profile_from_facts_holds_what_a_machine_knows_and_compilers_ask_for() -> None:
    engine = EngineFacts(name="openvino", version="2026.4.1", precisions=("int8",))
    machine = facts(accelerators=("NVIDIA H200",), engines={"openvino": engine})
    profile = profile_from_facts(machine, "bench-1", on=TODAY)
    assert profile.cpu.isa.value == ("avx", "f16c", "fma", "avx2")
    assert profile.engines["openvino"].precisions == ("fp32", "int8")
    assert profile.engines["openvino"].versions == ">=2026.4.1"
    assert {figure.source for figure in figures(profile).values()} == {"detected"}
    assert flaws(profile) == ()
    assert mismatch(profile, machine) is None
    assert not exceeds(profile, machine)


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
numbers = st.floats(allow_nan=False, allow_infinity=False)
counts = st.integers(0, 2**62)
precisions = st.sampled_from(["fp32", "bf16", "fp16", "int8"])
accuracies = st.lists(precisions, max_size=4).map(tuple)


def figure(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(Figure, value=values, source=text)


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


peaks = st.dictionaries(precisions, figure(numbers), max_size=2)
caches = st.builds(Caches, l1d_bytes=maybe(figure(counts)), l3_bytes=maybe(figure(counts)))
cpus = st.builds(
    Cpu,
    arch=text,
    model=figure(text),
    isa=figure(st.lists(text, max_size=3).map(tuple)),
    cores=figure(counts),
    clock_hz=maybe(figure(numbers)),
    caches=caches,
)
accelerators = st.builds(
    Accelerator,
    kind=text,
    model=figure(text),
    compute_capability=maybe(figure(text)),
    memory_bytes=maybe(figure(counts)),
    peak_ops_per_s=peaks,
)
profiles = st.builds(
    HardwareProfile,
    id=text,
    name=text,
    cpu=cpus,
    threads=maybe(counts),
    dram=st.builds(Dram, length_bytes=figure(counts)),
    accelerators=st.lists(accelerators, max_size=2).map(tuple),
    peak_ops_per_s=peaks,
    os=maybe(figure(text)),
    power_modes=st.lists(st.builds(PowerMode, name=text, power_w=figure(numbers)), max_size=2).map(
        tuple
    ),
    price_usd=maybe(figure(numbers)),
    engines=st.dictionaries(
        text, st.builds(EngineSupport, versions=text, precisions=accuracies), max_size=2
    ),
    limits=st.builds(Limits, latency_p50_ms=maybe(numbers), memory_bytes=maybe(counts)),
    sources=st.dictionaries(text, st.builds(Source, address=text, date=text), max_size=2),
)


@given(profiles)
def test_whatever_is_written_reads_back_the_same(profile: HardwareProfile) -> None:
    assert decode_toml(HardwareProfile, write_profile(profile).encode()) == profile


def test_list_says_what_this_machine_can_stand_in_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert profiles_verb("list", "--format", "json") == 0
    listed = json.loads(capsys.readouterr().out)
    by_id = {row["id"]: row["this_machine"] for row in listed["profiles"]}
    assert list(by_id) == [path.stem for path in PATHS]
    assert by_id["h200-sxm"].startswith("no: ")
    plugins = {(row["kind"], row["name"]) for row in listed["plugins"]}
    assert plugins >= {("engine", "onnxruntime"), ("backend", "openvino")}


@pytest.mark.parametrize("name", sorted(path.stem for path in PATHS))
def test_every_shipped_profile_is_shown(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert profiles_verb("show", name, "--format", "csv") == 0
    assert "form_factor" in capsys.readouterr().out


def test_list_as_csv_is_one_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert profiles_verb("list", "--format", "csv") == 0
    lines = capsys.readouterr().out.strip().splitlines()
    assert lines[0] == "id,name,arch,cores,form_factor,memory_gib,this_machine"
    assert len(lines) == 1 + len(PATHS)


@pytest.mark.parametrize("output", ["table", "md"])
def test_list_for_people_has_profiles_and_plugins(
    output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert profiles_verb("list", "--format", output) == 0
    shown = capsys.readouterr().out
    assert "rpi5-8gb" in shown
    assert "onnxruntime" in shown


def test_list_shows_a_reason_with_square_brackets_as_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = Missing(name="tvm", reason="pip install 'insight-edge[tvm]'")
    monkeypatch.setattr("insight_edge.cli.profiles.engines_here", lambda: {"tvm": missing})
    assert profiles_verb("list") == 0
    assert missing.reason in capsys.readouterr().out


def test_bare_verb_lists(capsys: pytest.CaptureFixture[str]) -> None:
    assert profiles_verb() == 0
    assert "rpi5-8gb" in capsys.readouterr().out


def test_show_gives_each_figure_its_source(capsys: pytest.CaptureFixture[str]) -> None:
    assert profiles_verb("show", "rpi5-8gb", "--format", "md") == 0
    shown = capsys.readouterr().out
    assert "| dram.length_bytes | 8589934592 | https://github.com/geerlingguy" in shown
    assert "| engines.openvino | fp32, fp16, int8 >=2025.4 | chosen |" in shown


def test_show_as_json_is_the_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert profiles_verb("show", "rpi5-8gb", "--format", "json") == 0
    document = json.loads(capsys.readouterr().out)
    assert msgspec.convert(document, HardwareProfile) == find_profile("rpi5-8gb")


def test_detected_profile_passes_check_and_accepts_this_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "lab-1.toml"
    assert profiles_verb("detect", "-o", str(path)) == 0
    assert profiles_verb("check", str(path)) == 0
    assert "'lab-1' is sound" in capsys.readouterr().err
    assert mismatch(read_profile(path), machine_facts()) is None
    assert not exceeds(read_profile(path), machine_facts())
    assert profiles_verb("detect", "--id", "lab-1") == 0
    assert capsys.readouterr().out == path.read_text()


def test_detect_lists_the_engines_that_are_installed_for_devices(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokens = [token for token in engines() if device_python(token) is not None]
    path = tmp_path / "lab-1.toml"
    assert profiles_verb("detect", "--devices", "-o", str(path)) == 0
    capsys.readouterr()
    assert profiles_verb("list", "--format", "json") == 0
    plugins = json.loads(capsys.readouterr().out)["plugins"]
    details = {p["name"]: p["detail"] for p in plugins if p["kind"] == "engine"}
    detected = read_profile(path).engines
    assert detected.keys() >= set(tokens)
    for token in tokens:
        assert detected[token].precisions[0] == "fp32"
        assert satisfies(details[token].removeprefix(f"{token} "), detected[token].versions)


def test_detect_alone_lists_what_runs_here(tmp_path: Path) -> None:
    path = tmp_path / "lab-1.toml"
    assert profiles_verb("detect", "-o", str(path)) == 0
    able = {token for token, one in engine_facts().items() if isinstance(one, EngineFacts)}
    assert read_profile(path).engines.keys() == able


def test_environment_that_does_not_answer_is_a_missing_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setattr(
        device_engines, "device_python", lambda token: broken if token == "tvm" else None
    )
    found = device_engines.engines_here()["tvm"]
    assert isinstance(found, Missing)
    assert "exit status 3" in found.reason


def test_check_exits_2_with_the_nearest_key_on_a_typo(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = edited(tmp_path, "clock_hz", "clok_hz")
    assert profiles_verb("check", str(path)) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "unknown key 'cpu.clok_hz'" in captured.err
    assert "did you mean 'clock_hz'?" in captured.err


def test_detect_exits_2_when_the_file_name_is_no_id_or_the_folder_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert profiles_verb("detect", "-o", str(tmp_path / "My PC.toml")) == 2
    assert "choose one with --id" in capsys.readouterr().err
    assert profiles_verb("detect", "-o", str(tmp_path / "none" / "pc.toml")) == 2
    assert "cannot write" in capsys.readouterr().err
