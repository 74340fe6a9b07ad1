# SPDX-License-Identifier: Apache-2.0
"""The map names every room, the wheel carries what a device needs, and a device stays bare."""

import json
import pkgutil
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import insight_edge

ROOT = Path(__file__).resolve().parents[2]
DEVICE_ROOMS = (
    "errors",
    "stats",
    "documents",
    "transforms",
    "bundle",
    "runtime",
    "bench",
    "serve",
    "streaming",
    "fleet",
    "cli",
)
TOO_HEAVY = {
    "alembic", "fastapi", "nncf", "onnx", "onnxscript", "pandas", "pydantic", "scipy",
    "skl2onnx", "sklearn", "sqlalchemy", "torch", "insight_cloud",
}  # fmt: skip
ENGINES = {"onnxruntime", "openvino"}


def rooms(package: Path, prefix: str) -> set[str]:
    inside = {f"{prefix}/{p.name}" for p in package.iterdir() if (p / "__init__.py").exists()}
    return inside | {f"{prefix}/{p.name}" for p in package.glob("[a-z]*.py")}


def test_architecture_lists_every_room() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    found = rooms(ROOT / "insight_edge", "insight_edge")
    found |= rooms(ROOT / "cloud" / "insight_cloud", "cloud/insight_cloud")
    assert {room for room in found if f"`{room}`" not in text} == set()


def test_architecture_names_nothing_that_is_gone() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    named = {word for word in text.split("`") if "/" in word and " " not in word}
    places = (ROOT, ROOT / "insight_edge", ROOT / "cloud" / "insight_cloud")
    gone = {
        word
        for word in named
        if "<" not in word and not any((place / word).exists() for place in places)
    }
    assert gone == set()


def walked_files() -> list[tuple[str, str]]:
    """Return each file that a walk names, with the folder it is in where that is not said."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    walk = re.compile(r"^## One [^\n]*file by file\n\n```\n(.*?)^```", re.MULTILINE | re.DOTALL)
    blocks = walk.findall(text)
    assert len(blocks) >= 5
    found, folder = [], ""
    for word in re.findall(r"[\w/]+\.py", "\n".join(blocks)):
        folder = word.rpartition("/")[0] or folder
        found.append((folder, word.rpartition("/")[2]))
    return found


def test_every_file_that_a_walk_names_is_there() -> None:
    places = (ROOT / "insight_edge", ROOT / "cloud" / "insight_cloud")
    gone = {
        f"{folder}/{name}"
        for folder, name in walked_files()
        if not any((place / folder / name).is_file() for place in places)
    }
    assert gone == set()


def device_modules() -> list[str]:
    walked = pkgutil.walk_packages(insight_edge.__path__, "insight_edge.")
    names = [module.name for module in walked]
    return [name for name in names if name.split(".")[1] in DEVICE_ROOMS]


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_every_device_module_imports_in_the_devices_environment(engine: str) -> None:
    python = Path(sys.prefix) / "environments" / f"device-{engine}" / "bin" / "python"
    code = (
        "import importlib, json, sys\n"
        f"for name in {device_modules()!r}: importlib.import_module(name)\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert loaded & TOO_HEAVY == set()
    assert loaded & ENGINES == set(), "an engine is imported when an artifact is loaded"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(folder),
        str(ROOT),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_wheel_carries_profiles_and_locks_and_is_small(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    profiles = {p.name for p in (ROOT / "hardware_profiles").glob("*.toml")}
    beside = (
        "main",
        "toolchain-peers",
        "toolchain-servers",
        "toolchain-tflite-runtime",
        "toolchain-tritonclient",
        "toolchain-zoo",
    )
    locks = {p.name for p in (ROOT / "locks").glob("*.txt") if p.stem not in beside}
    assert {Path(n).name for n in names if "/hardware_profiles/" in n} == profiles
    assert {Path(n).name for n in names if "/locks/" in n} == locks
    assert not [name for name in names if "insight_cloud" in name or name.startswith("tests")]
    members = zipfile.ZipFile(wheel).infolist()
    workshop = ("insight_edge/compile/", "insight_edge/selection/")
    device = [info.compress_size for info in members if not info.filename.startswith(workshop)]
    assert sum(device) < 750_000


@pytest.mark.slow
def test_one_extra_in_an_empty_environment_is_a_whole_device(wheel: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "device"], check=True)
    python = tmp_path / "device" / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    lock = ROOT / "locks" / "device-onnxruntime.txt"
    subprocess.run([*install, "-r", str(lock)], check=True)
    offline = [*install, "--no-index", f"{wheel}[onnxruntime]"]
    subprocess.run(offline, check=True)
    listed = subprocess.run(
        [python, "-m", "pip", "list", "--format", "json"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert {item["name"].lower() for item in json.loads(listed.stdout)} & TOO_HEAVY == set()
    program = tmp_path / "device" / "bin" / "insight-edge"
    shown = subprocess.run(
        [program, "profiles", "list"], capture_output=True, text=True, check=True
    )
    assert "rpi5-8gb" in shown.stdout
