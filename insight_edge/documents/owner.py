# SPDX-License-Identifier: Apache-2.0
"""Whose state directory it is: `owner.json` in it, read by the runtime host."""

from insight_edge.documents.codec import Versioned


class Owner(Versioned, frozen=True, kw_only=True):
    """Tenant, device and deployment that a state directory belongs to."""

    tenant: str
    device: str
    deployment: str
