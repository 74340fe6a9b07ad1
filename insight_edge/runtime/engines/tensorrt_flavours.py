# SPDX-License-Identifier: Apache-2.0
"""The two products called TensorRT: what their packages are named and what they run on.

TensorRT-RTX builds on any host and compiles the rest on the device; TensorRT
builds on the very GPU that is to run the plan. A plan of one is nothing to the
other. Known to the engine and to the backend of the same token; imports neither.
"""

from collections.abc import Mapping
from dataclasses import dataclass

CAPABILITIES_SETTING = "compute_capabilities"
FLAVOUR_SETTING = "flavour"
MAX_BATCH_SETTING = "max_batch"
TIMINGS_SETTING = "timings"
"""Digest of the kernel times that a plan was built from; the engine has no use for them."""

SETTINGS = frozenset({CAPABILITIES_SETTING, FLAVOUR_SETTING, MAX_BATCH_SETTING, TIMINGS_SETTING})


@dataclass(frozen=True, kw_only=True)
class Flavour:
    """One of the two.

    Attributes:
        token: in an artifact's settings.
        name: for people.
        module: that has the API.
        distribution: whose version is the flavour's.
        cuda: release of the CUDA interface that the driver must offer, major and minor.
        capabilities: compute capabilities that it builds for; None for that of the GPU at hand.
    """

    token: str
    name: str
    module: str
    distribution: str
    cuda: tuple[int, int]
    capabilities: tuple[str, ...] | None

    def supports(self, capability: str) -> bool:
        """Return whether plans of it run on GPUs of a compute capability."""
        if self.capabilities is not None:
            return capability in self.capabilities
        return release(capability) >= OLDEST


OLDEST = (7, 5)
"""What TensorRT 11 still runs on."""

RTX = Flavour(
    token="rtx",  # noqa: S106 (a name)
    name="TensorRT-RTX",
    module="tensorrt_rtx_bindings",
    distribution="tensorrt-rtx-cu13-bindings",
    cuda=(13, 0),
    capabilities=("7.5", "8.0", "8.6", "8.9", "12.0", "12.1"),
)
FULL = Flavour(
    token="full",  # noqa: S106 (a name)
    name="TensorRT",
    module="tensorrt_bindings",
    distribution="tensorrt-cu13-bindings",
    cuda=(13, 0),
    capabilities=None,
)
FLAVOURS = (RTX, FULL)


def flavour_of(settings: Mapping[str, str]) -> Flavour:
    """Return the flavour that built an artifact with these settings.

    Raises:
        ValueError: they are not those of a plan of either.
    """
    token = settings.get(FLAVOUR_SETTING, "")
    found = next((flavour for flavour in FLAVOURS if flavour.token == token), None)
    if found is None:
        raise ValueError(f"'{token}' is not a flavour of TensorRT")
    return found


def release(version: str) -> tuple[int, int]:
    """Return the two numbers of a compute capability such as `8.9`.

    Raises:
        ValueError: it is not of that form.
    """
    major, _, minor = version.partition(".")
    return int(major), int(minor)
