# SPDX-License-Identifier: Apache-2.0
"""The update repository with its keys: releases in, files that devices believe out.

The caller holds the database's lock and says which releases there are.
"""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import TargetFile

from insight_cloud.platform.blobs import Blobs
from insight_cloud.releases.director import directors_from
from insight_cloud.releases.keys import Keys
from insight_cloud.releases.plan import Listing, Target, served_path
from insight_cloud.releases.repository import TOP, Repository
from insight_cloud.releases.rotation import rotate
from insight_cloud.releases.rules import Release, Rotation, State, Terms
from insight_cloud.releases.writer import Writer
from insight_edge.documents.codec import decode_json, encode_json
from insight_edge.documents.desired import Directors
from insight_edge.errors import ConfigurationError

DIRECTORS = "directors.json"


class Shelf:
    """One repository and the keys that sign it.

    Raises:
        StorageError: the directory cannot be made.
    """

    def __init__(self, directory: Path, keys: Keys, blobs: Blobs) -> None:
        self._repository = Repository(directory)
        self._keys = keys
        self._blobs = blobs

    def newest_root(self) -> bytes:
        """Return the newest root.

        Raises:
            StorageError: there is none yet.
        """
        return self._repository.newest_root()

    def refuse_new_profile(self, profile: str) -> None:
        """Refuse a profile that could not be listed for.

        Raises:
            ConfigurationError: it has no role yet, and the targets key is not here.
        """
        if profile not in self._repository.published().profiles and not self._keys.has("targets"):
            raise ConfigurationError(
                f"nothing was listed for '{profile}' before, so the targets key is needed",
                hint="bring the directory with the offline keys",
            )

    def write(self, releases: Iterable[Release], terms: Terms) -> tuple[str, ...]:
        """Bring the repository to these releases, and return the roles that wait for a key.

        Raises:
            ConfigurationError, StorageError: as `Writer.write`.
        """
        self.settle()
        writer = Writer(self._repository, self._keys.signers(), terms)
        writer.write(self._listing(tuple(releases), self._keys.signer("director")))
        return writer.waiting()

    def rotate(self, which: Rotation, releases: Iterable[Release], terms: Terms) -> None:
        """Replace keys by new ones.

        Raises:
            ConfigurationError, StorageError: as `rotation.rotate`.
        """
        self.settle()
        listing = partial(self._listing, tuple(releases))
        rotate(which, self._keys, self._repository, terms, listing)
        self.settle()

    def settle(self) -> None:
        """End a rotation that was interrupted.

        Raises:
            StorageError: the keys cannot be written.
        """
        if self._keys.is_rotating:
            self._keys.settle(self._counting())

    def _counting(self) -> set[str]:
        """Return the public keys that published metadata names."""
        published = self._repository.published()
        named = [] if published.root is None else list(published.root.signed.keys.values())
        top = published.roles.get(TOP)
        counting: set[str] = set()
        if top is not None:
            delegations = top.signed.delegations
            named += [] if delegations is None else list(delegations.keys.values())
            served = served_path(top.signed.targets[DIRECTORS])
            listed = decode_json(Directors, self._repository.target(served))
            counting = {key.public for key in listed.keys}
        return counting | {str(key.keyval["public"]) for key in named}

    def _listing(self, releases: tuple[Release, ...], director: CryptoSigner) -> Listing:
        directors = encode_json(directors_from(director))
        top = TargetFile.from_data(DIRECTORS, directors, ["sha256"])
        profiles: dict[str, list[Target]] = {}
        for release in releases:
            if release.state is State.LISTED:
                profiles.setdefault(release.profile, []).append(self._manifest(release))
        return Listing(
            top=(Target(file=top, read=lambda: directors),),
            profiles={name: tuple(targets) for name, targets in profiles.items()},
        )

    def _manifest(self, release: Release) -> Target:
        sha256 = release.bundle.removeprefix("sha256:")
        file = TargetFile(
            release.length_bytes,
            {"sha256": sha256},
            f"{release.profile}/{sha256}.json",
            {"custom": {"model": release.model, "version": release.version}},
        )
        return Target(file=file, read=partial(self._blobs.get, release.bundle))
