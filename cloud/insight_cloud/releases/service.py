# SPDX-License-Identifier: Apache-2.0
"""The use cases of releases: publish, approve, revoke, renew, rotate, sign what devices are told.

A decision is recorded in one transaction, and written to the repository in the
next: a crash in between leaves the repository as it was, and the next use case
that writes completes it. Both take the database's lock, so processes write one
after the other and versions only grow.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from insight_cloud.accounts.audit import note
from insight_cloud.platform.blobs import Blobs
from insight_cloud.platform.database import Database
from insight_cloud.platform.errors import ConflictError, NotFoundError
from insight_cloud.platform.schema import TENANT
from insight_cloud.releases import director
from insight_cloud.releases.keys import Keys
from insight_cloud.releases.rules import (
    Lifetimes,
    Mode,
    Release,
    Rotation,
    State,
    check_profile,
    first_state,
    terms_at,
)
from insight_cloud.releases.shelf import Shelf
from insight_cloud.releases.tables import PolicyRow, ReleaseRow
from insight_edge.bundle.contents import contents
from insight_edge.bundle.limits import MANIFEST_NAME, Limits
from insight_edge.bundle.open import Bundle, open_bundle
from insight_edge.documents.codec import decode_json
from insight_edge.documents.desired import Envelope
from insight_edge.documents.manifest import Manifest
from insight_edge.errors import DigestMismatchError, DocumentError


class Releases:
    """The bundles of one tenant that devices may install.

    Args:
        database: with the tables of this release.
        blobs: that hold the files of bundles.
        directory: of the update repository, as it is served.
        keys: of the tenant; the offline ones as far as they are needed.
        lifetimes: of signatures.

    Raises:
        StorageError: the directory cannot be made.
    """

    def __init__(
        self,
        database: Database,
        blobs: Blobs,
        directory: Path,
        keys: Keys,
        lifetimes: Lifetimes | None = None,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._keys = keys
        self._lifetimes = lifetimes or Lifetimes()
        self._shelf = Shelf(directory, keys, blobs)

    def publish(self, bundle_dir: Path, *, now: datetime, by: str) -> Release:
        """Keep a bundle, and list it for the devices of its profile or let it wait for a person.

        Publishing a bundle twice changes nothing.

        Raises:
            DocumentError: the bundle is malformed, as `open_bundle`.
            ConflictError: it was revoked.
            ConfigurationError: its profile is no name, or is new and the targets key is not here.
            StorageError: the disk is full or cannot be written.
        """
        bundle = open_bundle(bundle_dir, allow_unsigned=True)
        check_profile(bundle.manifest.profile)
        length_bytes = self._keep(bundle)
        with self._database.write() as session:
            row = session.get(ReleaseRow, (TENANT, bundle.digest))
            if row is None:
                row = _row(bundle, length_bytes, _mode(session, bundle.manifest.model.name), now)
                self._refuse_unlistable(row)
                session.add(row)
                label = f"{row.model}:{row.version} for {row.profile}, {row.state}"
                note(
                    session,
                    by=by,
                    action="release.publish",
                    subject=row.bundle,
                    now=now,
                    detail=label,
                )
            elif row.state == State.REVOKED:
                raise ConflictError(
                    f"{bundle.digest} was revoked by {row.decided_by}", hint="compile it again"
                )
        self.renew(now=now)
        return self.release(bundle.digest)

    def approve(self, bundle: str, *, by: str, now: datetime) -> Release:
        """List a bundle that waits for a person.

        Raises:
            NotFoundError: no such bundle was published.
            ConflictError: it was revoked.
            ConfigurationError: its profile is new and the targets key is not here.
            StorageError: the repository cannot be written; the next `renew` completes it.
        """
        return self._decide(bundle, State.LISTED, by, now)

    def revoke(self, bundle: str, *, by: str, now: datetime) -> Release:
        """Let no device install a bundle any more; those that serve it go on.

        Raises:
            NotFoundError: no such bundle was published.
            StorageError: the repository cannot be written; the next `renew` completes it.
        """
        return self._decide(bundle, State.REVOKED, by, now)

    def release(self, bundle: str) -> Release:
        """Return one bundle that was published.

        Raises:
            NotFoundError: there is no such one.
        """
        with self._database.read() as session:
            return _release(_found(session, bundle))

    def releases(self, model: str | None = None) -> tuple[Release, ...]:
        """Return all bundles that were published, of one model or all, the newest first."""
        query = select(ReleaseRow).filter_by(tenant=TENANT)
        if model is not None:
            query = query.filter_by(model=model)
        query = query.order_by(ReleaseRow.created.desc(), ReleaseRow.bundle)
        with self._database.read() as session:
            return tuple(_release(row) for row in session.scalars(query))

    def policy(self, model: str) -> Mode:
        """Return who decides that a new bundle of a model is listed."""
        with self._database.read() as session:
            return _mode(session, model)

    def manifest(self, bundle: str) -> Manifest:
        """Return the manifest of a bundle that was published.

        Raises:
            NotFoundError: no such bundle was published.
            DigestMismatchError, StorageError: it cannot be read.
        """
        return decode_json(Manifest, self._blobs.get(self.release(bundle).bundle))

    def file_parts(self, bundle: str, name: str) -> tuple[int, str, Iterator[bytes]]:
        """Return length, digest and bytes, in parts, of a file of a bundle that was published.

        The parts are not compared with the digest.

        Raises:
            NotFoundError: no such bundle was published, or it has no such file.
            DigestMismatchError, StorageError: it cannot be read.
        """
        digest = bundle
        if name != MANIFEST_NAME:
            files = contents(self.manifest(bundle), Limits())
            if name not in files:
                held = ", ".join([MANIFEST_NAME, *files])
                raise NotFoundError(f"it has no file '{name[:80]}'", hint=f"it has {held}")
            digest = f"sha256:{files[name].sha256}"
        self.release(bundle)
        return self._blobs.length_bytes(digest), digest, self._blobs.parts(digest)

    def set_policy(self, model: str, mode: Mode, *, now: datetime, by: str) -> None:
        """Say who decides from now on; what waits goes on waiting."""
        with self._database.write() as session:
            session.merge(PolicyRow(tenant=TENANT, model=model, mode=mode.value, changed=now))
            note(session, by=by, action="release.policy", subject=model, now=now, detail=mode.value)

    def renew(self, *, now: datetime) -> tuple[str, ...]:
        """Complete what was interrupted, and sign again what is past half of its life.

        To be called daily at least; the first call makes the repository.

        Returns:
            the roles that should be signed again and wait for an offline key.

        Raises:
            ConfigurationError: a key is missing without which nothing can be written.
            StorageError: the repository cannot be written; devices see the state before.
        """
        with self._database.write() as session:
            return self._shelf.write(_releases(session), terms_at(now, self._lifetimes))

    def rotate(self, which: Rotation, *, now: datetime, by: str) -> None:
        """Replace keys by new ones; the old ones stop counting.

        After the director's, everything desired has to be signed again. After a theft of online
        keys, rotate both snapshot and timestamp: then versions may begin low again.

        Raises:
            ConfigurationError: an offline key is not here, or does not count.
            StorageError: something cannot be written; the old keys count.
        """
        with self._database.write() as session:
            self._shelf.rotate(which, _releases(session), terms_at(now, self._lifetimes))
            note(session, by=by, action="keys.rotate", subject=which.value, now=now)

    def root(self) -> str:
        """Return the newest root, which a device is enrolled with.

        Raises:
            StorageError: there is none yet.
        """
        return self._shelf.newest_root().decode()

    def sign(self, told: director.Told) -> Envelope:
        """Return what a device should run or do, signed by the director.

        Raises:
            ConfigurationError: the director's key is not here.
            DocumentError: it cannot be written as canonical JSON.
        """
        if self._keys.is_rotating:
            with self._database.write():
                self._shelf.settle()
        return director.sign(told, self._keys.signer("director"))

    def _decide(self, bundle: str, state: State, by: str, now: datetime) -> Release:
        with self._database.write() as session:
            row = _found(session, bundle)
            if row.state == State.REVOKED and state is not State.REVOKED:
                raise ConflictError(f"{bundle} was revoked by {row.decided_by}")
            if row.state != state:
                row.state, row.decided_by, row.changed = state.value, by, now
                self._refuse_unlistable(row)
                note(session, by=by, action=_ACTIONS[state], subject=bundle, now=now)
        self.renew(now=now)
        return self.release(bundle)

    def _refuse_unlistable(self, row: ReleaseRow) -> None:
        """Refuse before it is recorded what the next write could not list."""
        if row.state == State.LISTED:
            self._shelf.refuse_new_profile(row.profile)

    def _keep(self, bundle: Bundle) -> int:
        """Put every file into the blobs and return the length of the manifest.

        Raises:
            DigestMismatchError: a file changed since the bundle was opened.
        """
        files = contents(bundle.manifest, bundle.limits).values()
        expected = {entry.path: f"sha256:{entry.sha256}" for entry in files}
        for name, digest in {MANIFEST_NAME: bundle.digest, **expected}.items():
            if self._blobs.put(_bytes(bundle.path / name)) != digest:
                raise DigestMismatchError(f"{bundle.path / name}: changed while it was published")
        return len(self._blobs.get(bundle.digest))


_ACTIONS = {State.LISTED: "release.approve", State.REVOKED: "release.revoke"}


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DocumentError(f"{path}: {(error.strerror or str(error)).lower()}") from error


def _mode(session: Session, model: str) -> Mode:
    row = session.get(PolicyRow, (TENANT, model))
    return Mode.AUTO if row is None else Mode(row.mode)


def _row(bundle: Bundle, length_bytes: int, mode: Mode, now: datetime) -> ReleaseRow:
    return ReleaseRow(
        bundle=bundle.digest,
        model=bundle.manifest.model.name,
        version=bundle.manifest.model.version,
        profile=bundle.manifest.profile,
        length_bytes=length_bytes,
        state=first_state(mode).value,
        decided_by=None,
        created=now,
        changed=now,
    )


def _found(session: Session, bundle: str) -> ReleaseRow:
    row = session.get(ReleaseRow, (TENANT, bundle))
    if row is None:
        raise NotFoundError(f"no bundle {bundle[:80]} was published")
    return row


def _releases(session: Session) -> tuple[Release, ...]:
    query = select(ReleaseRow).filter_by(tenant=TENANT).order_by(ReleaseRow.bundle)
    return tuple(_release(row) for row in session.scalars(query))


def _release(row: ReleaseRow) -> Release:
    return Release(
        bundle=row.bundle,
        model=row.model,
        version=row.version,
        profile=row.profile,
        length_bytes=row.length_bytes,
        state=State(row.state),
        decided_by=row.decided_by,
        created=row.created,
        changed=row.changed,
    )
