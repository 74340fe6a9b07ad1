# SPDX-License-Identifier: Apache-2.0
"""The pages that can be reached from everywhere, with their keys."""

from dataclasses import dataclass

from insight_cloud.accounts.rules import Role


@dataclass(frozen=True)
class Entry:
    """A page in the navigation.

    Attributes:
        name: of the page, its icon and its section.
        key: the letter that follows `g`.
        role: that it needs.
    """

    name: str
    title: str
    address: str
    key: str
    role: Role = Role.VIEWER


@dataclass(frozen=True)
class Crumb:
    """A page above the one that is shown."""

    title: str
    address: str


GROUPS: tuple[tuple[str, tuple[Entry, ...]], ...] = (
    (
        "Operate",
        (
            Entry("home", "Home", "/", "h"),
            Entry("fleet", "Fleet", "/devices", "d"),
            Entry("rollouts", "Rollouts", "/rollouts", "r"),
            Entry("drift", "Drift", "/drift", "m"),
            Entry("labels", "Labelling", "/labelling", "l"),
        ),
    ),
    (
        "Make",
        (
            Entry("models", "Models", "/models", "o"),
            Entry("pipelines", "Pipelines", "/pipelines", "p"),
            Entry("jobs", "Jobs", "/jobs", "j"),
            Entry("builds", "Builds", "/builds", "b"),
        ),
    ),
    (
        "Know",
        (
            Entry("audit", "Audit", "/audit", "a", Role.OPERATOR),
            Entry("users", "Users and tokens", "/users", "u", Role.ADMIN),
        ),
    ),
)
