# SPDX-License-Identifier: Apache-2.0
"""Replace keys by new ones so that devices follow and the old ones stop counting.

Every step leaves a repository that devices accept: where a root names the key,
the role is signed by the old and the new key first, and the root that names the
new one comes after. What was recorded in the device under the old keys of
snapshot and timestamp stops counting with them; so a thief who ran their
versions ahead is undone by rotating both.
"""

from collections.abc import Callable

from securesystemslib.signer import CryptoSigner

from insight_cloud.releases.keys import Keys
from insight_cloud.releases.plan import Listing
from insight_cloud.releases.repository import Repository
from insight_cloud.releases.rules import Rotation, Terms
from insight_cloud.releases.writer import Writer
from insight_edge.errors import ConfigurationError


def rotate(
    which: Rotation,
    keys: Keys,
    repository: Repository,
    terms: Terms,
    listing: Callable[[CryptoSigner], Listing],
) -> None:
    """Make the new keys and the metadata that names them; `Keys.settle` ends it.

    Args:
        which: keys are replaced.
        keys: all that are needed, offline ones too.
        repository: that names them.
        terms: of what is signed.
        listing: what the repository says with a given director.

    Raises:
        ConfigurationError: an offline key is not here, or does not count.
        StorageError: something cannot be written; the old keys count.
    """
    _refuse_missing(which, keys)
    if which is Rotation.ROOT:
        _rotate_root(keys, repository, terms)
    elif which is Rotation.DIRECTOR:
        new = keys.make_next("director")
        Writer(repository, keys.signers(), terms).write(listing(new))
    elif which is Rotation.BUILD:
        signers = keys.signers().with_role("build", [keys.make_next("build")])
        Writer(repository, signers, terms).write(listing(keys.signer("director")))
    else:
        _rotate_named_by_root(which.value, keys, repository, terms, listing)


def _refuse_missing(which: Rotation, keys: Keys) -> None:
    """Refuse before anything is made: root signs its own keys, targets those it delegates to."""
    signs = "targets" if which in {Rotation.BUILD, Rotation.DIRECTOR} else "root"
    if (signs == "root" and not keys.roots()) or (signs == "targets" and not keys.has("targets")):
        raise ConfigurationError(
            f"the {signs} keys are needed to rotate {which.value}",
            hint="bring the directory with the offline keys",
        )


def _rotate_root(keys: Keys, repository: Repository, terms: Terms) -> None:
    signers = keys.signers()
    new = [keys.make_next(name) for name in keys.roots()]
    Writer(repository, signers, terms).put_next_root({"root": new})


def _rotate_named_by_root(
    role: str,
    keys: Keys,
    repository: Repository,
    terms: Terms,
    listing: Callable[[CryptoSigner], Listing],
) -> None:
    new = keys.make_next(role)
    signers = keys.signers().with_role(role, [keys.signer(role), new])
    writer = Writer(repository, signers, terms)
    writer.write(listing(keys.signer("director")))
    writer.put_next_root({role: [new]})
