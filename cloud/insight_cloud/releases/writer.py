# SPDX-License-Identifier: Apache-2.0
"""Bring the files of a TUF repository to what is listed, in an order that any crash leaves whole.

Writing the same twice changes nothing, and a write that was interrupted is
completed by the next. What is listed, when and by whom is decided above; what
has to be signed, in `releases.plan`.
"""

from collections.abc import Mapping, Sequence

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Root

from insight_cloud.releases.plan import Listing, Plan, Roles
from insight_cloud.releases.repository import TOP, Published, Repository
from insight_cloud.releases.rules import Terms
from insight_cloud.releases.signing import (
    Signers,
    encoded,
    first_root,
    meta_file,
    next_root,
    refuse_unbelievable,
    state,
)
from insight_edge.errors import ConfigurationError


class Writer:
    """Writes one repository with given keys at one moment."""

    def __init__(self, repository: Repository, signers: Signers, terms: Terms) -> None:
        self._repository = repository
        self._signers = signers
        self._terms = terms

    def write(self, listing: Listing) -> None:
        """Make the repository say what is listed; files first, what makes them count last.

        Raises:
            ConfigurationError: an offline key is needed at once, or a key here does not count.
            LimitExceededError: devices would not read so much.
            StorageError: the disk is full or cannot be written; devices see the state before.
        """
        root = self._root()
        for target in listing.targets:
            if not self._repository.has_target(target.name):
                self._repository.put_target(target.name, target.read())
        published = self._repository.published()
        plan = Plan(
            published=published,
            listing=listing,
            signers=self._signers,
            terms=self._terms,
            next_version=self._repository.next_version,
        )
        changed = plan.changed_roles()
        if changed or plan.state_is_due():
            self._put_state(published, changed, root)
        self._repository.sweep({target.name for target in listing.targets})

    def waiting(self) -> tuple[str, ...]:
        """Return the roles that should be signed again and wait for an offline key."""
        published, due = self._repository.published(), self._terms.is_due
        root, top = published.root, published.roles.get(TOP)
        waiting = []
        if root is not None and not self._signers.root and due("root", root.signed.expires):
            waiting.append("root")
        if top is not None and not self._signers.targets and due("targets", top.signed.expires):
            waiting.append(TOP)
        return tuple(waiting)

    def put_next_root(self, changed: Mapping[str, Sequence[CryptoSigner]] | None = None) -> Root:
        """Sign the next root and return it; the keys of changed roles are replaced by these.

        Raises:
            ConfigurationError: there is no root, or its keys are not here.
            StorageError: it cannot be written; the root before counts.
        """
        current = self._repository.published().root
        if current is None:
            raise ConfigurationError("there is no root yet", hint="renew the repository first")
        end = self._terms.end("root")
        root = next_root(current.signed, self._signers.root, end, changed or {})
        self._repository.put_metadata("root", root.signed.version, encoded(root))
        return root.signed

    def _root(self) -> Root:
        """Return the root that counts, made or renewed where its keys are here."""
        current = self._repository.published().root
        if current is None:
            return self._first_root()
        due = self._terms.is_due("root", current.signed.expires)
        return self.put_next_root() if due and self._signers.root else current.signed

    def _first_root(self) -> Root:
        if not (self._signers.root and self._signers.targets):
            raise ConfigurationError(
                "the root and targets keys are needed to begin a repository",
                hint="make keys, or bring the offline ones",
            )
        root = first_root(self._signers, self._terms.end("root"))
        refuse_unbelievable(root.signed, "root", root)
        self._repository.put_metadata("root", 1, encoded(root))
        return root.signed

    def _put_state(self, published: Published, changed: Roles, root: Root) -> None:
        files = {name: encoded(role) for name, role in changed.items()}
        metas = dict(published.metas)
        for name, data in files.items():
            metas[name] = meta_file(changed[name].signed.version, data)
        seen = published.timestamp
        number = self._repository.next_version("snapshot", seen.signed.version if seen else 0)
        snapshot, timestamp = state(number, metas, self._signers, self._terms)
        roles = {**published.roles, **changed}
        for role, metadata in (
            (TOP, roles[TOP]),
            ("snapshot", snapshot),
            ("timestamp", timestamp),
        ):
            refuse_unbelievable(root, role, metadata)
        for name in roles.keys() - {TOP}:
            refuse_unbelievable(roles[TOP].signed, name, roles[name])
        for name, data in files.items():
            self._repository.put_metadata(name, changed[name].signed.version, data)
        self._repository.put_metadata("snapshot", number, encoded(snapshot))
        self._repository.put_metadata("timestamp", None, encoded(timestamp))
