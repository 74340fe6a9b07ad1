# SPDX-License-Identifier: Apache-2.0
"""The command that does a compilation again, for people to copy."""

import shlex
from pathlib import Path

from insight_edge.documents.profile import HardwareProfile


def reproduce_command(
    model: Path,
    profile: HardwareProfile,
    output: Path,
    samples: Path | None,
    max_drop_pp: float | None,
    tuning_s: float = 0.0,
) -> str:
    """Return the shell command of a compilation; `--target` may be appended to it."""
    words = ["insight-edge", "compile", "-m", str(model), "--profile", profile.id]
    if samples is not None:
        words += ["--calibration", str(samples)]
    if max_drop_pp is not None:
        words += ["--max-drop", f"{max_drop_pp:g}"]
    if tuning_s:
        words += ["--tuning", f"{tuning_s:g}"]
    return shlex.join([*words, "-o", str(output)])
