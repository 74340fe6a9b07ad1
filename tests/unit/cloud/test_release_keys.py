# SPDX-License-Identifier: Apache-2.0
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from insight_cloud.platform.errors import ConflictError
from insight_cloud.releases.keys import Keys, init_keys, public_hex
from insight_edge.errors import ConfigurationError, StorageError

NAMES = {"root-1", "targets", "snapshot", "timestamp", "build", "director"}


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return init_keys(tmp_path / "keys")


def test_every_key_is_its_own_and_its_owners_alone(keys: Keys, tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    assert {path.stem for path in folder.iterdir()} == NAMES
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert len({public_hex(keys.signer(name)) for name in NAMES}) == len(NAMES)


def test_several_root_keys_may_be_made(tmp_path: Path) -> None:
    keys = init_keys(tmp_path / "keys", roots=3)
    assert keys.roots() == ("root-1", "root-2", "root-3")
    assert len({public_hex(signer) for signer in keys.signers().root}) == 3


@pytest.mark.parametrize("roots", [0, -1, 10])
def test_no_or_too_many_root_keys_are_a_programming_error(tmp_path: Path, roots: int) -> None:
    with pytest.raises(ValueError, match="root keys"):
        init_keys(tmp_path / "keys", roots=roots)


def test_keys_are_never_made_over_others(keys: Keys, tmp_path: Path) -> None:
    before = public_hex(keys.signer("targets"))
    with pytest.raises(ConflictError):
        init_keys(tmp_path / "keys")
    assert public_hex(keys.signer("targets")) == before


def test_keys_that_cannot_be_written_leave_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError):
        init_keys(tmp_path / "file" / "keys")


def test_offline_keys_may_be_away(keys: Keys, tmp_path: Path) -> None:
    for name in ("root-1", "targets"):
        (tmp_path / "keys" / f"{name}.pem").unlink()
    signers = keys.signers()
    assert (signers.root, signers.targets) == ((), ())
    assert not keys.has("targets")
    with pytest.raises(ConfigurationError, match="targets key"):
        keys.signer("targets")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_key_that_others_can_read_is_refused(keys: Keys, tmp_path: Path, mode: int) -> None:
    (tmp_path / "keys" / "build.pem").chmod(mode)
    with pytest.raises(ConfigurationError, match="others than its owner"):
        keys.signer("build")


def test_what_is_no_key_is_refused_and_not_shown(keys: Keys, tmp_path: Path) -> None:
    path = tmp_path / "keys" / "build.pem"
    curve = ec.generate_private_key(ec.SECP256R1())
    other = curve.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    half = path.read_bytes()[:60]
    for content in (b"", b"secret stuff", half, other):
        path.write_bytes(content)
        with pytest.raises(ConfigurationError) as caught:
            keys.signer("build")
        assert "secret" not in str(caught.value)
        assert half.decode()[30:] not in str(caught.value)


def test_a_new_key_counts_once_it_was_settled(keys: Keys, tmp_path: Path) -> None:
    old, new = keys.signer("build"), keys.make_next("build")
    assert keys.is_rotating
    assert stat.S_IMODE((tmp_path / "keys" / "build.next.pem").stat().st_mode) == 0o600
    assert public_hex(keys.signer("build")) == public_hex(old)
    keys.settle({public_hex(new)})
    assert public_hex(keys.signer("build")) == public_hex(new)
    assert not keys.is_rotating


def test_a_new_key_that_never_counted_is_dropped(keys: Keys) -> None:
    old = public_hex(keys.signer("build"))
    keys.make_next("build")
    keys.settle({old})
    assert public_hex(keys.signer("build")) == old
    assert not keys.is_rotating
