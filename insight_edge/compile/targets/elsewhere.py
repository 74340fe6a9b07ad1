# SPDX-License-Identifier: Apache-2.0
"""What another machine that builds changes about a plan.

A target goes there where its toolchain is missing here, or where nothing but a
device of the profile builds it. Everything else is built here. How a job gets
there is not known here (`compile.remote.spool`).
"""

from typing import Protocol

from insight_edge.compile.refusals.refusal import OnDeviceOnly
from insight_edge.compile.toolchains.toolchain import Toolchain
from insight_edge.documents.facts import Facts, Missing


class Elsewhere(Protocol):
    """The other machine: `compile.remote.announcement` is what it says of itself."""

    @property
    def facts(self) -> Facts:
        """Of that machine."""
        ...

    def toolchain(self, token: str) -> Toolchain | Missing:
        """Return the toolchain of a backend there."""
        ...


def lacking(here: Toolchain | Missing, token: str, builder: Elsewhere | None) -> str | None:
    """Return why a backend can be used on no machine at hand, None where it can."""
    if isinstance(here, Toolchain):
        return None
    if builder is None:
        return f"toolchain missing: {here.reason}"
    there = builder.toolchain(token)
    if isinstance(there, Toolchain):
        return None
    return f"toolchain missing: {here.reason}; nor has the builder it: {there.reason}"


def refused_there(refusal: OnDeviceOnly, token: str, builder: Elsewhere) -> str | None:
    """Return why the builder does not build what nothing but a device does, None where it does."""
    if refusal.accelerator not in builder.facts.accelerators:
        return f"{refusal}; the builder has no {refusal.accelerator}"
    there = builder.toolchain(token)
    if isinstance(there, Missing):
        return f"{refusal}; the builder lacks the toolchain: {there.reason}"
    return None
