# SPDX-License-Identifier: Apache-2.0
"""The plan of a rollout as a policy holds it: plain values, checked when somebody sets them."""

from collections.abc import Mapping
from typing import Any

import msgspec

from insight_cloud.rollouts.plan import NAMES, Plan, check_plan
from insight_edge.errors import ConfigurationError


def plan_of(plan: Mapping[str, Any]) -> Plan:
    """Return a rollout's plan from plain values; what is left out is as by default.

    Raises:
        ConfigurationError: a key is unknown, or the plan cannot be meant.
    """
    unknown = sorted(plan.keys() - set(NAMES))
    if unknown:
        raise ConfigurationError(
            f"plan: unknown key '{unknown[0][:80]}'", hint=f"known: {', '.join(NAMES)}"
        )
    try:
        found = msgspec.convert(dict(plan), Plan)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"plan: {error}") from error
    check_plan(found)
    return found
