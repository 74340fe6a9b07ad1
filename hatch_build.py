# SPDX-License-Identifier: Apache-2.0
"""What the build of the wheel does besides: which locks it has, and how tightly it is packed.

The same files with the same contents as hatchling would write, in its order; `RECORD` is
its own. They are packed anew by libdeflate, which looks for the shortest stream where zlib
takes the first good match: 2.4 per cent shorter. It is asked for by `build-system.requires`; a
build without isolation that lacks it packs with zlib.
"""

import struct
import tomllib
import zipfile
import zlib
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

try:
    from deflate import deflate_compress
except ImportError:
    deflate_compress = None

LEVEL = 12
"""Of libdeflate; it has none that looks harder."""

DEFLATED, VERSION, UNIX, UTF8 = 8, 20, 3, 0x800
"""Of the ZIP format: the method, the version that knows it, whose permissions, whose names."""


class WheelHook(BuildHookInterface[Any]):
    """Called by hatchling before and after it builds a wheel; an editable one is left alone."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name the locks that an installation can use."""
        if version == "standard":
            locks = Path(self.root) / "locks"
            build_data["force_include"] |= {
                str(locks / name): f"insight_edge/locks/{name}" for name in shipped_locks(locks)
            }

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Pack the wheel that was built as tightly as can be."""
        del build_data
        if version == "standard":
            wheel = Path(artifact_path)
            with zipfile.ZipFile(wheel) as archive:
                members = [(info, archive.read(info)) for info in archive.infolist()]
            wheel.write_bytes(packed(members))


def shipped_locks(locks: Path) -> list[str]:
    """Return the names of locks of devices, and of toolchains that builds need, sorted.

    Those of the workshop, of benchmarks and of tests are of use beside them alone.
    """
    toolchains = tomllib.loads((locks / "toolchains.toml").read_text())
    builds = [
        f"toolchain-{name}.txt" for name, asked in toolchains.items() if asked.get("shipped", True)
    ]
    return sorted([*(path.name for path in locks.glob("device*.txt")), *builds])


def packed(members: list[tuple[zipfile.ZipInfo, bytes]]) -> bytes:
    """Return a ZIP file of members with their contents, in their order, dates and permissions kept.

    Args:
        members: fewer than 65,536, of less than 4 GiB together.
    """
    body, directory = bytearray(), bytearray()
    for info, content in members:
        name, data = info.filename.encode(), _deflated(content)
        common = struct.pack(
            "<5H3L2H", VERSION, 0 if name.isascii() else UTF8, DEFLATED, *_time(info.date_time),
            zlib.crc32(content), len(data), len(content), len(name), 0,
        )  # fmt: skip
        place = struct.pack("<3H2L", 0, 0, 0, info.external_attr, len(body))
        directory += struct.pack("<4s2B", b"PK\x01\x02", VERSION, UNIX) + common + place + name
        body += b"PK\x03\x04" + common + name + data
    count = len(members)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, len(directory), len(body), 0)
    return bytes(body + directory + end)


def _deflated(content: bytes) -> bytes:
    if deflate_compress is not None:
        return bytes(deflate_compress(content, LEVEL))
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, 9)
    return compressor.compress(content) + compressor.flush()


def _time(date_time: tuple[int, int, int, int, int, int]) -> tuple[int, int]:
    """Return a moment as the two numbers in which ZIP files, like MS-DOS, write it."""
    year, month, day, hour, minute, second = date_time
    return hour << 11 | minute << 5 | second // 2, (year - 1980) << 9 | month << 5 | day
