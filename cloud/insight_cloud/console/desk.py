# SPDX-License-Identifier: Apache-2.0
"""What every page is made from: the services, the frame, the live streams."""

from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import APIRouter

from insight_cloud.console.faults import page_route
from insight_cloud.console.shell import Shell
from insight_cloud.console.streams import Streams
from insight_cloud.installation import Installation
from insight_cloud.releases.rules import Release


@dataclass(frozen=True, kw_only=True)
class Desk:
    """One console."""

    cloud: Installation
    shell: Shell
    streams: Streams

    def router(self) -> APIRouter:
        """Return a router whose routes are pages."""
        return APIRouter(route_class=page_route(self.shell), include_in_schema=False)

    def labels(self) -> Mapping[str, str]:
        """Return model and version of every published bundle, as people write them."""
        return {one.bundle: label_of(one) for one in self.cloud.releases.releases()}


def label_of(release: Release) -> str:
    """Return `digits:3`."""
    return f"{release.model}:{release.version}"
