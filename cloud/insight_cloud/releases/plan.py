# SPDX-License-Identifier: Apache-2.0
"""Which roles of a repository have to be signed again, and what they then say. Pure.

A role is signed again when it says something else than what is listed, is past
half of its life, or lacks the signature of a key that counts now. Nothing is
copied from the old one, so what a stolen key put there is gone with the next write.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from tuf.api.metadata import Metadata, TargetFile, Targets

from insight_cloud.releases.repository import TOP, Published
from insight_cloud.releases.rules import Terms
from insight_cloud.releases.signing import Signers, lacks, signed, targets_role
from insight_edge.errors import ConfigurationError

Roles = dict[str, Metadata[Targets]]


def served_path(file: TargetFile) -> str:
    """Return where devices look for a target: its path, the last part behind the digest."""
    path = PurePosixPath(file.path)
    return (path.parent / f"{file.hashes['sha256']}.{path.name}").as_posix()


@dataclass(frozen=True, kw_only=True)
class Target:
    """A file that devices may fetch, and where its bytes are."""

    file: TargetFile
    read: Callable[[], bytes]

    @property
    def name(self) -> str:
        """Its path as it is served."""
        return served_path(self.file)


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What the repository should say.

    Attributes:
        top: targets of the top role.
        profiles: by hardware profile, the targets that its devices may install; a profile that
            was ever there stays, if empty.
    """

    top: tuple[Target, ...]
    profiles: Mapping[str, tuple[Target, ...]]

    @property
    def targets(self) -> tuple[Target, ...]:
        """All of them."""
        return self.top + tuple(target for some in self.profiles.values() for target in some)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is there, what should be, and who signs it until when.

    Attributes:
        next_version: of a role, higher than one that is known.
    """

    published: Published
    listing: Listing
    signers: Signers
    terms: Terms
    next_version: Callable[[str, int], int]

    def changed_roles(self) -> Roles:
        """Return the roles that have to be signed again, signed.

        Raises:
            ConfigurationError: the targets key is needed at once, and is not here.
        """
        changed = {name: self._profile(name) for name in self._profiles}
        changed[TOP] = self._top()
        return {name: role for name, role in changed.items() if role is not None}

    def state_is_due(self) -> bool:
        """Return whether snapshot and timestamp have to be signed again though no role has."""
        snapshot, timestamp = self.published.snapshot, self.published.timestamp
        return (
            snapshot is None
            or timestamp is None
            or self.terms.is_due("snapshot", snapshot.signed.expires)
            or self.terms.is_due("timestamp", timestamp.signed.expires)
            or lacks(snapshot, self.signers.snapshot)
            or lacks(timestamp, self.signers.timestamp)
        )

    @property
    def _profiles(self) -> list[str]:
        return sorted(self.published.profiles | self.listing.profiles.keys())

    def _version(self, role: str) -> int:
        known = self.published.metas.get(role)
        return self.next_version(role, 0 if known is None else known.version)

    def _profile(self, name: str) -> Metadata[Targets] | None:
        current = self.published.roles.get(name)
        files = _files(self.listing.profiles.get(name, ()))
        if (
            current is not None
            and current.signed.targets == files
            and not self.terms.is_due("profile", current.signed.expires)
            and not lacks(current, self.signers.build)
        ):
            return None
        role = Targets(self._version(name), None, self.terms.end("profile"), files)
        return signed(role, self.signers.build)

    def _top(self) -> Metadata[Targets] | None:
        current = self.published.roles.get(TOP)
        role = targets_role(
            _files(self.listing.top),
            self._profiles,
            self.signers.build,
            version=self._version(TOP),
            expires=self.terms.end("targets"),
        )
        if current is not None and _says_the_same(current.signed, role):
            due = self.terms.is_due("targets", current.signed.expires)
            due = due or lacks(current, self.signers.targets)
            if not (due and self.signers.targets):
                return None
        if not self.signers.targets:
            raise ConfigurationError(
                "the targets key is needed: a profile, a director or a build key is new",
                hint="bring the directory with the offline keys",
            )
        return signed(role, self.signers.targets)


def _files(targets: tuple[Target, ...]) -> dict[str, TargetFile]:
    return {target.file.path: target.file for target in targets}


def _says_the_same(one: Targets, other: Targets) -> bool:
    return (one.targets, one.delegations) == (other.targets, other.delegations)
