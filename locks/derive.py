# SPDX-License-Identifier: Apache-2.0
"""Derive every lock from `constraints.txt`: `make lock`.

`main.txt` is the environment of the workshop and the cloud; `device-<engine>.txt`
is all that a device has, with what every device has in `device.txt`;
`toolchain-<name>.txt` is what `toolchains.toml` asks for, over what builds need of
this package. Device locks carry hashes, of the files that a device can install and of
sources; the others do not, because torch comes as a different file from each index
(CPU or CUDA) under one version.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV = Path(sys.executable).with_name("uv")

UNUSED = {"tflite": ("backports-strenum", "flatbuffers", "ml-dtypes", "protobuf", "tqdm")}
"""By engine: what the interpreter does without; the package's tools want it."""

DEVICES = re.compile(
    r"-(?:py3|py2\.py3|(?:cp3\d+\.)*cp3\d+)"
    r"-(?:none|abi3|cp3(?:1[1-9]|[2-9]\d))"
    r"-(?:any|manylinux\w*_(?:x86_64|aarch64)[\w.]*|linux_(?:x86_64|aarch64))\.whl$"
)
"""The end of a wheel's name that runs where this package does: CPython from 3.11 on Linux with
glibc, on the two kinds of processor that hardware profiles have."""


def main() -> None:
    """Write all locks."""
    edge = tomllib.loads((ROOT / "pyproject.toml").read_text())
    cloud = tomllib.loads((ROOT / "cloud/pyproject.toml").read_text())
    extras = edge["project"]["optional-dependencies"]
    base = edge["project"]["dependencies"]
    workshop = [r for name in ("onnxruntime", "openvino", "compile") for r in extras[name]]
    own = [r for r in cloud["project"]["dependencies"] if not r.startswith("insight-edge")]
    training = cloud["project"]["optional-dependencies"]["train"]
    everything = [*base, *workshop, *own, *training, *edge["dependency-groups"]["dev"]]
    _write("main", everything, [])
    for engine in extras.keys() - {"compile", "images"}:
        unused = [f"--no-emit-package={name}" for name in UNUSED.get(engine, ())]
        _write_device(engine, [*base, *extras[engine]], unused)
    _share(sorted((ROOT / "locks").glob("device-*.txt")))
    toolchains = tomllib.loads((ROOT / "locks/toolchains.toml").read_text())
    for name, asked in toolchains.items():
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as overrides:
            overrides.write("\n".join(asked.get("settled", [])))
            overrides.flush()
            _write(f"toolchain-{name}", [*base, *asked["requires"]], ["--override", overrides.name])
        with (ROOT / "locks" / f"toolchain-{name}.txt").open("a") as lock:
            lock.writelines(f"{pin}\n" for pin in asked.get("alone", []))


PIN = re.compile(r"^\S.*\n(?:[ \t].*\n)*", re.MULTILINE)
"""A package with its version and, on indented lines, its hashes."""


def _share(locks: list[Path]) -> None:
    """Put what all of these pin into `device.txt`: hashes do not compress, and a wheel has them."""
    pins = {lock: PIN.findall(lock.read_text()) for lock in locks}
    shared = set.intersection(*map(set, pins.values()))
    (ROOT / "locks" / "device.txt").write_text("".join(sorted(shared)))
    for lock, found in pins.items():
        own = [pin for pin in found if pin not in shared]
        lock.write_text("".join(["-r device.txt\n", *own]))


def _write_device(engine: str, requirements: list[str], options: list[str]) -> None:
    """Write the lock of a device, with the hashes of what it can install."""
    options = ["--universal", *options]
    pins = _resolve(requirements, ["--generate-hashes", *options])
    files = _files(_resolve(requirements, ["--format", "pylock.toml", *options]))
    (ROOT / "locks" / f"device-{engine}.txt").write_text(for_devices(pins, files))


def for_devices(pins: str, files: dict[str, str]) -> str:
    """Return pins with the hashes of those files alone that a device can install.

    Three hashes of four are of files for other systems, processors and interpreters, and
    hashes do not compress. The hash of a package's sources stays: who has no wheel builds.

    Args:
        pins: requirements with `--hash` lines.
        files: by hash, `sha256:…`, the name of its file; those for older Pythons are left out.
    """
    kept = []
    for pin in PIN.findall(pins):
        first, *hashes = re.split(r" \\\n\s+--hash=", pin.rstrip("\n"))
        held = [h for h in hashes if _for_devices(files.get(h, "for another Python.whl"))]
        kept.append(" \\\n    --hash=".join([first, *held]) + "\n")
    return "".join(kept)


def _for_devices(file: str) -> bool:
    return not file.endswith(".whl") or DEVICES.search(file) is not None


def _files(pylock: str) -> dict[str, str]:
    """Return by hash the name of each file of a `pylock.toml`."""
    packages = tomllib.loads(pylock)["packages"]
    found = [
        file
        for package in packages
        for file in (*package.get("wheels", ()), *filter(None, [package.get("sdist")]))
    ]
    return {f"sha256:{file['hashes']['sha256']}": file["url"].rpartition("/")[2] for file in found}


def _write(name: str, requirements: list[str], options: list[str]) -> None:
    (ROOT / "locks" / f"{name}.txt").write_text(_resolve(requirements, options))


def _resolve(requirements: list[str], options: list[str]) -> str:
    """Return what uv pins of requirements, without the names of local builds."""
    command = [
        str(UV), "pip", "compile", "-", "--quiet", "--no-header", "--no-annotate",
        "--python-version", "3.11", "--constraints", str(ROOT / "constraints.txt"),
        *_wheel_folders(), *options,
    ]  # fmt: skip
    found = subprocess.run(
        command, input="\n".join(requirements), capture_output=True, text=True, check=False
    )
    if found.returncode:
        sys.exit(found.stderr)
    return re.sub(r"(==[0-9][^\s+]*)\+\w+", r"\1", found.stdout)


def _wheel_folders() -> list[str]:
    """Return the folders of wheels that pip is told of, which uv does not read by itself."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    folders = re.findall(r"find-links='([^']+)'", listed)
    return [argument for folder in dict.fromkeys(folders) for argument in ("--find-links", folder)]


if __name__ == "__main__":
    main()
