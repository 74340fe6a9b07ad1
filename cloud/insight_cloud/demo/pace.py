# SPDX-License-Identifier: Apache-2.0
"""How fast everything goes in the demo; a test lets it go faster than people would look at."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How fast.

    Attributes:
        callers: of each application; a device keeps no more than so many inputs of each a second.
        rate_hz: how often each caller asks.
        window_s: of the reports of a device.
        probation_s: that a new model serves on a device before it is committed.
        soak_s: that a wave of a rollout is looked at.
        begins_s: before a person comes to the first input.
        look_s: that they look at one.
        quiet_s, after_s: before the shift, and after the retraining.
    """

    callers: int = 2
    rate_hz: float = 10.0
    window_s: float = 2.0
    probation_s: float = 4.0
    soak_s: float = 3.0
    begins_s: float = 2.0
    look_s: float = 0.03
    quiet_s: float = 40.0
    after_s: float = 20.0
