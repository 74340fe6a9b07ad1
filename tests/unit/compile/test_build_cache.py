# SPDX-License-Identifier: Apache-2.0
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from insight_edge.compile.building.cache import (
    build_key,
    build_once,
    explain_miss,
    forgotten_if_damaged,
)
from insight_edge.compile.building.outcome import Built, Failed
from insight_edge.compile.building.preparation import prepare_job
from insight_edge.compile.job import BuildJob
from insight_edge.compile.quantize.calibration import Calibration
from insight_edge.compile.sources.source import source_from_onnx
from insight_edge.compile.toolchains.toolchain import Toolchain
from insight_edge.documents.profile import Figure, HardwareProfile, Limits
from insight_edge.documents.target import Target
from insight_edge.errors import BuildFailedError, DigestMismatchError
from tests.fakes.build_backends import PLUGIN
from tests.fakes.hardware import profile_of
from tests.fakes.onnx_models import relu_model

ROOT = Path(__file__).parents[3]
TOOLCHAIN = Toolchain(versions={"fakec": "1.0"})


@pytest.fixture(autouse=True)
def _fakes_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def job_of(fake: str = "Good") -> BuildJob:
    return BuildJob(
        plugin=f"{PLUGIN}:{fake}",
        target=Target(backend="fake", precision="int8", options={"level": 1}),
        model="/a/model.onnx",
        model_digest="sha256:1",
        arch="x86_64",
        isa=("avx2",),
        calibration="/a/c.npz",
        calibration_digest="sha256:2",
    )


def key(job: BuildJob) -> str:
    return build_key(job, TOOLCHAIN)


def once(cache: Path, fake: str = "Good") -> Built:
    outcome = build_once(job_of(fake), cache, TOOLCHAIN)
    assert isinstance(outcome, Built)
    return outcome


def test_second_build_is_the_first(tmp_path: Path) -> None:
    first, second = once(tmp_path), once(tmp_path)
    assert not first.cached
    assert second.cached
    assert msgspec.structs.asdict(first.artifact) == msgspec.structs.asdict(second.artifact)
    assert (first.files, first.directory, first.build_s) == (
        second.files, second.directory, second.build_s,
    )  # fmt: skip
    assert (second.directory / "a.bin").read_bytes() == b"fake:int8"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    "damage",
    [
        lambda place: (place / "artifact" / "a.bin").write_bytes(b"fake:int7"),
        lambda place: (place / "artifact" / "a.bin").unlink(),
        lambda place: (place / "build.json").write_bytes(b"{"),
        lambda place: (place / "build.json").unlink(),
    ],
)
def test_damaged_build_is_built_again(damage: Callable[[Path], object], tmp_path: Path) -> None:
    damage(once(tmp_path).directory.parent)
    again = once(tmp_path)
    assert not again.cached
    assert (again.directory / "a.bin").read_bytes() == b"fake:int8"


def test_file_written_to_behind_its_time_is_read_again(tmp_path: Path) -> None:
    path = once(tmp_path).directory / "a.bin"
    then = path.stat()
    path.write_bytes(b"fake:int7")
    os.utime(path, ns=(then.st_atime_ns, then.st_mtime_ns))
    again = once(tmp_path)
    assert not again.cached
    assert (again.directory / "a.bin").read_bytes() == b"fake:int8"


def test_copied_cache_is_still_one(tmp_path: Path) -> None:
    once(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    (entry,) = (tmp_path / "b").glob("*/build.json")
    before = entry.read_bytes()
    assert once(tmp_path / "b").cached
    stamped = entry.read_bytes()
    assert stamped != before
    assert once(tmp_path / "b").cached
    assert entry.read_bytes() == stamped


def test_damage_that_only_the_bundle_notices_is_built_again(tmp_path: Path) -> None:
    built = once(tmp_path)
    with (
        pytest.raises(BuildFailedError, match="damaged and was removed"),
        forgotten_if_damaged(built),
    ):
        raise DigestMismatchError("'a.bin': its contents are not what its entry says")
    assert not once(tmp_path).cached


def test_hit_and_miss_are_explained(tmp_path: Path) -> None:
    def told(job: BuildJob, toolchain: Toolchain = TOOLCHAIN) -> str:
        return str(explain_miss(job, tmp_path, toolchain))

    assert told(job_of()) == "miss: nothing is kept here"
    once(tmp_path)
    assert told(job_of()) == "hit"
    moved = msgspec.structs.replace(job_of(), isa=("avx2", "avx512_vnni"))
    assert told(moved) == "miss: isa gained avx512_vnni"
    assert told(job_of(), Toolchain(versions={"fakec": "1.1"})) == "miss: toolchain fakec 1.0 → 1.1"
    (tmp_path / "unreadable").mkdir()
    (tmp_path / "unreadable" / "build.json").write_text("{")
    assert told(moved) == "miss: isa gained avx512_vnni"


PROFILE = profile_of(isa=("avx2",))


@pytest.mark.parametrize(
    ("profile", "same"),
    [
        (msgspec.structs.replace(PROFILE, id="renamed", name="another name"), True),
        (msgspec.structs.replace(PROFILE, price_usd=Figure(value=9.0, source="s")), True),
        (
            msgspec.structs.replace(PROFILE, limits=Limits(latency_p50_ms=1.0, max_drop_pp=3.0)),
            True,
        ),
        (profile_of(isa=("avx2", "avx512f")), False),
    ],
    ids=["name", "price", "limits", "isa"],
)
def test_only_what_changes_code_is_an_ingredient_of_a_profile(
    profile: HardwareProfile, same: bool, tmp_path: Path
) -> None:
    source = source_from_onnx(relu_model().SerializeToString(), name="m", importer="onnx")
    target = Target(backend="onnxruntime", precision="fp32")
    keys = {key(prepare_job(source, target, one, tmp_path)) for one in (PROFILE, profile)}
    assert (len(keys) == 1) == same


def test_two_builds_of_one_job_at_once_both_end_well(tmp_path: Path) -> None:
    (tmp_path / "met").mkdir()
    options = {"place": str(tmp_path / "met")}
    target = Target(backend="fake", precision="int8", options=options)
    job = msgspec.structs.replace(job_of("Meeting"), target=target)
    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(lambda _: build_once(job, tmp_path / "cache", TOOLCHAIN), range(2)))
    first, second = ended
    assert isinstance(first, Built)
    assert isinstance(second, Built)
    assert (first.cached, second.cached) == (False, False)
    assert first.directory == second.directory
    assert (first.directory / "a.bin").read_bytes() == b"fake:int8"
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_failure_is_not_kept(tmp_path: Path) -> None:
    outcome = build_once(job_of("Raising"), tmp_path, TOOLCHAIN)
    assert isinstance(outcome, Failed)
    assert list(tmp_path.iterdir()) == []


def test_key_does_not_depend_on_where_files_lie() -> None:
    moved = msgspec.structs.replace(job_of(), model="/b/m.onnx", calibration="/b/c.npz")
    assert key(moved) == key(job_of())


@pytest.mark.parametrize(
    "change",
    [
        {"plugin": "other:Plugin"},
        {"target": Target(backend="fake", precision="int8", options={"level": 2})},
        {"target": Target(backend="fake", precision="fp32", options={"level": 1})},
        {"model_digest": "sha256:3"},
        {"arch": "aarch64"},
        {"isa": ("avx2", "avx512f")},
        {"calibration_digest": "sha256:4"},
    ],
)
def test_key_depends_on_everything_else(change: dict[str, object]) -> None:
    changed = msgspec.structs.replace(job_of(), **change)
    assert key(changed) != key(job_of())


def test_key_depends_on_the_toolchain() -> None:
    assert build_key(job_of(), Toolchain(versions={"fakec": "1.1"})) != key(job_of())
    assert build_key(job_of(), replace(TOOLCHAIN, lock="sha256:5")) != key(job_of())
    assert build_key(job_of(), replace(TOOLCHAIN, python="/elsewhere")) == key(job_of())


def test_profiles_with_one_processor_share_a_build(tmp_path: Path) -> None:
    source = source_from_onnx(relu_model().SerializeToString(), name="m", importer="onnx")
    target = Target(backend="onnxruntime", precision="fp32")
    jobs = [
        prepare_job(source, target, profile, tmp_path)
        for profile in (
            profile_of(isa=("avx2", "fma"), engines={"onnxruntime": ("fp32",)}),
            profile_of(isa=("fma", "avx2"), engines={"openvino": ("int8",)}),
        )
    ]
    assert jobs[0] == jobs[1]
    assert Path(jobs[0].model).read_bytes() == source.data


def test_calibration_is_part_of_the_job_where_precision_needs_it(tmp_path: Path) -> None:
    source = source_from_onnx(relu_model().SerializeToString(), name="m", importer="onnx")
    rows = Calibration(path=tmp_path / "c.npz", digest="sha256:9")
    digests = [
        prepare_job(
            source,
            Target(backend="openvino", precision=precision),
            profile_of(),
            tmp_path,
            calibration=rows,
        ).calibration_digest
        for precision in ("fp32", "bf16", "int8")
    ]
    assert digests == [None, None, "sha256:9"]
