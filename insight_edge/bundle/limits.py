# SPDX-License-Identifier: Apache-2.0
"""What a bundle may be at most; the defaults leave a wide margin over real ones.

A bundle comes from outside. Nothing in it decides how much memory, disk or
time reading it takes: these figures do.
"""

import re
from typing import Final

import msgspec

MIB: Final = 1024 * 1024

MANIFEST_NAME: Final = "manifest.json"
"""The one file that the manifest does not name."""

FILE_NAME: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
"""A flat name that means the same on every file system: no separators, no leading dot."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Upper bounds, checked before the bytes they bound are read.

    Attributes:
        max_files: beside the manifest. Two variants, golden samples and evidence are a dozen; the
            bound keeps a listing short.
        max_file_bytes: of one file. Artifacts are mapped by 32-bit devices too.
        max_total_bytes: of all files. Two slots of this size fit the storage of every profile.
        max_manifest_bytes: of the manifest, which is parsed in memory before it is trusted.
        max_evidence_bytes: of the evidence, parsed in memory.
        max_vocabulary_bytes: of a vocabulary, parsed in memory. A quarter of a million tokens are
            half of it.
        max_golden_bytes: of the golden samples, packed or unpacked, held in memory.
        max_golden_arrays: in the golden samples; models have a few inputs and outputs.
    """

    max_files: int = 64
    max_file_bytes: int = 2048 * MIB
    max_total_bytes: int = 4096 * MIB
    max_manifest_bytes: int = 4 * MIB
    max_evidence_bytes: int = 8 * MIB
    max_vocabulary_bytes: int = 16 * MIB
    max_golden_bytes: int = 64 * MIB
    max_golden_arrays: int = 256
