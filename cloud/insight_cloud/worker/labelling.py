# SPDX-License-Identifier: Apache-2.0
"""Turn samples that have arrived into tasks for people, and what they say into outcomes."""

from datetime import datetime

from insight_cloud.labels.service import Labels


def label(labels: Labels, now: datetime) -> None:
    """Tell what was decided, then ask about what is new.

    Raises:
        StorageError: something cannot be read or written; the next turn makes up for it.
    """
    labels.settle(now)
    labels.gather(now)
