# SPDX-License-Identifier: Apache-2.0
"""Run what was built for aarch64 on another architecture, to ask it and never to time it.

QEMU translates one process: the Python of a small Debian root, with the locked
environment of the device's engine. It sees the root's libraries, a `/proc/cpuinfo`
that says what the profile's processor says, and this machine's files and kernel
otherwise: no namespace, no mount, no rights, and nothing to clean up after a kill.
It is no sandbox. `tools/arm/build-root` makes the root; this module only looks for it.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import insight_edge
from insight_edge.bench.arm import arm_part
from insight_edge.bench.interpreter import Interpreter
from insight_edge.compile.toolchains.environments import lock_digest
from insight_edge.documents.profile import HardwareProfile
from insight_edge.errors import ToolchainMissingError

ARCH = "aarch64"
QEMU = "qemu-aarch64-static"
PYTHON = "usr/bin/python3.11"

ROOT_VARIABLE = "INSIGHT_EDGE_ARM_ROOT"
"""Names the folder that `tools/arm/build-root` made, where that is not `.arm/aarch64` of the
checkout."""

HINT = "make arm-root"

UNASKABLE = {
    "openvino": "OpenVINO compiles at load, which takes minutes under emulation: a network of 2 "
    "million parameters was not done in 240 s"
}
"""By engine: why what is built for it is not asked. Measured with QEMU 7.2; others answered the
same network within a second. Two convolutions took OpenVINO 14 s of processor time, and were
right."""

CORES = {
    "cortex-a72": frozenset({"asimd", "aes", "pmull", "sha1", "sha2", "crc32"}),
    "cortex-a76": frozenset({
        "asimd", "aes", "pmull", "sha1", "sha2", "crc32",
        "atomics", "fphp", "asimdhp", "asimdrdm", "lrcpc", "dcpop", "asimddp",
    }),
}  # fmt: skip
"""Extensions of the cores that QEMU is asked for, from the plainest on."""

ALL_CORE = "max"
"""What QEMU calls a core with all that it knows."""

_SHOWN = ("bin", "etc", "lib", "sbin", "usr", "var")
"""Of the root; what it lacks is this machine's."""


@dataclass(frozen=True, kw_only=True)
class Emulation:
    """A profile's processor, emulated.

    Attributes:
        folder: what `tools/arm/build-root` made.
        release: of QEMU.
        core: that QEMU is asked for.
        implementer, part: of the core, as `/proc/cpuinfo` says them.
        isa: the profile's extensions.
    """

    folder: Path
    release: str
    core: str
    implementer: int
    part: int
    isa: tuple[str, ...]

    def __str__(self) -> str:
        """Return what evidence says of it."""
        return f"{QEMU.removesuffix('-static')} {self.release} as {self.core}"

    def interpreter(self, engine: str, place: Path) -> Interpreter:
        """Return the Python of a device's environment.

        Args:
            engine: whose environment.
            place: a folder for what the process sees of a machine; made where it is not there.

        Raises:
            ToolchainMissingError: the environment is not installed, or its lock has changed since.
        """
        environment = self._environment(engine)
        root = self.folder / "root"
        self._show(root, place)
        paths = (environment / "site", environment / "linked")
        variables = {
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "PYTHONHOME": str(root / "usr"),
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": os.environ.get("TMPDIR", "/tmp"),  # noqa: S108 (where this process has its)
        }
        qemu = (shutil.which(QEMU) or QEMU, "-L", str(place), "-cpu", self.core)
        command = (*qemu, str(root / PYTHON), "-s", "-P")
        return Interpreter(command=command, variables=variables, timed=False)

    def _environment(self, engine: str) -> Path:
        name = f"device-{engine}"
        folder = self.folder / "environments" / name
        stamp = folder / "lock.digest"
        if not stamp.exists():
            raise ToolchainMissingError(
                f"the environment '{name}' is not installed for {ARCH}", hint=HINT
            )
        if stamp.read_text() != lock_digest(name):
            raise ToolchainMissingError(
                f"the environment '{name}' for {ARCH} is of an older lock", hint=HINT
            )
        return folder

    def _show(self, root: Path, place: Path) -> None:
        """Lay out what takes the place of this machine's own: the root's, and the processor."""
        if (place / "proc").exists():
            return
        place.mkdir(parents=True, exist_ok=True)
        for name in _SHOWN:
            if (root / name).exists():
                (place / name).symlink_to((root / name).absolute())
        (place / "proc").mkdir()
        (place / "proc/cpuinfo").write_text(self._cpuinfo())

    def _cpuinfo(self) -> str:
        """Return what Linux says of so many processors as this machine has, of this kind."""
        features = " ".join(dict.fromkeys(("fp", "asimd", *self.isa)))
        fields = (
            f"Features\t: {features}",
            f"CPU implementer\t: 0x{self.implementer:02x}",
            "CPU architecture: 8",
            "CPU variant\t: 0x0",
            f"CPU part\t: 0x{self.part:03x}",
            "CPU revision\t: 0",
        )
        processors = range(os.cpu_count() or 1)
        return "".join("\n".join([f"processor\t: {n}", *fields, "", ""]) for n in processors)


def find_emulation(profile: HardwareProfile) -> Emulation | str:
    """Return what runs artifacts of a profile of another architecture, or why nothing does."""
    arch = profile.cpu.arch
    if arch != ARCH:
        return f"{arch} is not emulated"
    qemu = shutil.which(QEMU)
    if qemu is None:
        return f"{QEMU} is not installed (apt-get install qemu-user-static; {HINT})"
    folder = arm_root()
    if not (folder / "packages").exists():
        return f"there is no {ARCH} root at {folder} ({HINT})"
    core, numbers = _core(profile)
    return Emulation(
        folder=folder,
        release=_release(qemu),
        core=core,
        implementer=numbers[0],
        part=numbers[1],
        isa=profile.cpu.isa.value,
    )


def arm_root() -> Path:
    """Return where the root is, or would be."""
    named = os.environ.get(ROOT_VARIABLE)
    if named:
        return Path(named).absolute()
    return Path(insight_edge.__file__).parents[1] / ".arm" / ARCH


def _core(profile: HardwareProfile) -> tuple[str, tuple[int, int]]:
    """Return the plainest core that has what the profile has, and the profile's own numbers."""
    wanted = set(profile.cpu.isa.value)
    core = next((name for name, found in CORES.items() if wanted <= found), ALL_CORE)
    named = "Cortex-A72" if core == "cortex-a72" else "Cortex-A76"
    numbers = arm_part(profile.cpu.model.value) or arm_part(named)
    if numbers is None:
        raise ValueError(f"no number is known of {named}")
    return core, numbers


def _release(qemu: str) -> str:
    said = subprocess.run([qemu, "--version"], capture_output=True, text=True, check=True).stdout
    words = said.split()
    return words[words.index("version") + 1]
