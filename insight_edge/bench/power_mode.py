# SPDX-License-Identifier: Apache-2.0
"""The power mode that a machine was set to: of a Jetson, or of a laptop's firmware."""

from pathlib import Path

from insight_edge.runtime.cgroup import ROOT, read_text


def power_mode(root: Path = ROOT) -> str | None:
    """Return it as the machine calls it, `nvpmodel 2` or `balanced`; None where it has none."""
    status = read_text(root / "var/lib/nvpmodel/status") or ""
    word, _, number = status.partition(":")
    if word == "pmode" and number.strip().isdigit():
        return f"nvpmodel {int(number)}"
    return read_text(root / "sys/firmware/acpi/platform_profile")
