# SPDX-License-Identifier: Apache-2.0
"""The time, as programs hand it to the domains, which never ask for it themselves."""

from datetime import UTC, datetime


def now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)
