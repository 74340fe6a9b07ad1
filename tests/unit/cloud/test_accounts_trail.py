# SPDX-License-Identifier: Apache-2.0
"""Whoever changes something leaves a row, in the transaction of the change and no other."""

import inspect
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from insight_cloud.accounts.rules import Role
from insight_cloud.accounts.service import Accounts
from insight_cloud.builds.profiles import known_profiles
from insight_cloud.devices.service import Devices
from insight_cloud.platform.clock import now
from insight_cloud.registry.service import Registry
from insight_cloud.releases.rules import Mode, Rotation
from insight_cloud.releases.service import Releases
from insight_edge.bench.machine import machine_facts
from insight_edge.bundle.write import write_bundle
from insight_edge.documents.desired import Challenging
from insight_edge.documents.enrolment import EnrolmentRequest
from tests.fakes.bundles import bundle_files, bundle_manifest
from tests.fakes.cloud import Cloud, open_cloud

BY = "kim"
PASSWORD = "one of many plain words"
BUNDLE = f"sha256:{'ab' * 32}"
Act = Callable[[], object]

UNTOLD = {
    Accounts: {"by_session", "by_token", "has_password", "first_user"},
    Devices: {"hear", "saw", "authenticate", "by_secret"},
    Registry: set[str](),
    Releases: {"renew", "sign"},
}
"""What devices and programs say all the time, what is only asked, and what is tested elsewhere."""

READS = {
    Accounts: {"users", "user", "tokens", "audit"},
    Devices: set(
        "device devices online facts reported timeline desired not_updated_reason".split()  # noqa: SIM905
    ),
    Registry: set(
        "overview version versions models aliases artifact artifact_parts".split()  # noqa: SIM905
    ),
    Releases: {"release", "releases", "policy", "manifest", "file_parts", "root"},
}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with open_cloud(tmp_path_factory.mktemp("cloud") / "state") as cloud:
        cloud.accounts.first_user(PASSWORD, now())
        yield cloud


def enrolled(cloud: Cloud, device: str) -> Act:
    facts, token = machine_facts(), cloud.invite(device)
    profiles = known_profiles(cloud.settings.profiles_path)
    asked = EnrolmentRequest(token=token, facts=facts, deployments=("default",))
    return lambda: cloud.devices.enrol(asked, profiles=profiles, now=now())


def invite(cloud: Cloud, _: Path) -> Act:
    at = now()
    return lambda: cloud.devices.invite(None, by=BY, expires=at + timedelta(hours=1), now=at)


def enrol(cloud: Cloud, _: Path) -> Act:
    return enrolled(cloud, "door-1")


def retire_device(cloud: Cloud, _: Path) -> Act:
    enrolled(cloud, "door-2")()
    return lambda: cloud.devices.retire_device("door-2", by=BY, now=now())


def set_desired(cloud: Cloud, _: Path) -> Act:
    enrolled(cloud, "door-3")()
    return lambda: cloud.devices.set_desired("door-3", "default", BUNDLE, by=BY, now=now())


def renew_desired(cloud: Cloud, _: Path) -> Act:
    enrolled(cloud, "door-4")()
    cloud.devices.set_desired("door-4", "default", BUNDLE, by=BY, now=now())
    return lambda: cloud.devices.renew_desired("door-4", by=BY, now=now())


def set_challenger(cloud: Cloud, _: Path) -> Act:
    enrolled(cloud, "door-5")()
    cloud.devices.set_desired("door-5", "default", BUNDLE, by=BY, now=now())
    other = Challenging(bundle="sha256:" + "7" * 64)
    return lambda: cloud.devices.set_challenger("door-5", "default", other, by=BY, now=now())


def register(cloud: Cloud, _: Path, model: str = "pets") -> Act:
    files = {"model.onnx": b"onnx"}
    return lambda: cloud.registry.register(
        model, task="images", artifacts=files, metrics={}, now=now(), by=BY
    )


def assign_alias(cloud: Cloud, folder: Path) -> Act:
    register(cloud, folder, "dogs")()
    return lambda: cloud.registry.assign_alias("dogs", "best", 1, now=now(), by=BY)


def written(folder: Path, number: int) -> Path:
    files = bundle_files(f"artifact {number}".encode())
    write_bundle(folder / "bundle", bundle_manifest(files), files)
    return folder / "bundle"


def publish(cloud: Cloud, folder: Path, number: int = 1) -> Act:
    bundle = written(folder, number)
    return lambda: cloud.releases.publish(bundle, now=now(), by=BY)


def approve(cloud: Cloud, folder: Path) -> Act:
    model = bundle_manifest(bundle_files()).model.name
    cloud.releases.set_policy(model, Mode.HUMAN, now=now(), by=BY)
    waiting = cloud.releases.publish(written(folder, 2), now=now(), by=BY)
    return lambda: cloud.releases.approve(waiting.bundle, by=BY, now=now())


def revoke(cloud: Cloud, folder: Path) -> Act:
    listed = cloud.releases.publish(written(folder, 3), now=now(), by=BY)
    return lambda: cloud.releases.revoke(listed.bundle, by=BY, now=now())


def set_policy(cloud: Cloud, _: Path) -> Act:
    return lambda: cloud.releases.set_policy("pets", Mode.AUTO, now=now(), by=BY)


def rotate(cloud: Cloud, _: Path) -> Act:
    return lambda: cloud.releases.rotate(Rotation.DIRECTOR, now=now(), by=BY)


def user(cloud: Cloud, name: str) -> Act:
    return lambda: cloud.accounts.create_user(name, PASSWORD, Role.VIEWER, by=BY, now=now())


def create_user(cloud: Cloud, _: Path) -> Act:
    return user(cloud, "lee")


def changed(name: str, method: str, **change: Any) -> Callable[[Cloud, Path], Act]:
    def prepare(cloud: Cloud, _: Path) -> Act:
        user(cloud, name)()
        return lambda: getattr(cloud.accounts, method)(name, by=BY, now=now(), **change)

    return prepare


def issue_token(cloud: Cloud, _: Path) -> Act:
    return lambda: cloud.accounts.issue_token("admin", "x", Role.VIEWER, by=BY, now=now())


def revoke_token(cloud: Cloud, _: Path) -> Act:
    made = cloud.accounts.issue_token("admin", "x", Role.VIEWER, by=BY, now=now())
    return lambda: cloud.accounts.revoke_token(made.token.id, by=BY, now=now())


def sign_in(cloud: Cloud, _: Path) -> Act:
    user(cloud, BY)()
    return lambda: cloud.accounts.sign_in(BY, PASSWORD, address="x", now=now())


def sign_out(cloud: Cloud, _: Path) -> Act:
    user(cloud, "max")()
    token = cloud.accounts.sign_in("max", PASSWORD, address="x", now=now())
    return lambda: cloud.accounts.sign_out(token, now=now())


ACTS: dict[tuple[type, str], Callable[[Cloud, Path], Act]] = {
    (Devices, "invite"): invite,
    (Devices, "enrol"): enrol,
    (Devices, "retire_device"): retire_device,
    (Devices, "set_desired"): set_desired,
    (Devices, "renew_desired"): renew_desired,
    (Devices, "set_challenger"): set_challenger,
    (Registry, "register"): register,
    (Registry, "assign_alias"): assign_alias,
    (Releases, "publish"): publish,
    (Releases, "approve"): approve,
    (Releases, "revoke"): revoke,
    (Releases, "set_policy"): set_policy,
    (Releases, "rotate"): rotate,
    (Accounts, "create_user"): create_user,
    (Accounts, "change_user"): changed("ann", "change_user", disabled=True),
    (Accounts, "set_password"): changed("bob", "set_password", password="quite another one"),
    (Accounts, "set_role"): changed("cai", "set_role", role=Role.ADMIN),
    (Accounts, "disable_user"): changed("dee", "disable_user"),
    (Accounts, "enable_user"): changed("eve", "enable_user"),
    (Accounts, "issue_token"): issue_token,
    (Accounts, "revoke_token"): revoke_token,
    (Accounts, "sign_in"): sign_in,
    (Accounts, "sign_out"): sign_out,
}
BYS = {"enrol": "device door-1", "sign_out": "max"}


def dump(cloud: Cloud) -> dict[str, list[Any]]:
    """Return everything in the tables of these domains, but not what is counted of guesses."""
    with cloud.database.read() as session:
        names = session.execute(
            text("SELECT name FROM sqlite_master WHERE type = 'table' AND name != 'accounts_guess'")
        ).scalars()
        return {
            name: list(map(tuple, session.execute(text(f"SELECT * FROM {name}"))))  # noqa: S608
            for name in list(names)
        }


def command(cloud: Cloud, statement: str) -> None:
    with cloud.database.write() as session:
        session.execute(text(statement))


def test_every_use_case_is_known_to_change_something_or_not() -> None:
    for kind, reads in READS.items():
        public = {name for name, _ in inspect.getmembers(kind, callable) if name[0] != "_"}
        told = {name for owner, name in ACTS if owner is kind}
        assert public == reads | UNTOLD[kind] | told, kind


@pytest.mark.parametrize(("kind", "name"), ACTS)
def test_every_change_leaves_a_row_or_does_not_happen(
    cloud: Cloud, tmp_path: Path, kind: type, name: str
) -> None:
    act = ACTS[kind, name](cloud, tmp_path)
    before = dump(cloud)
    command(
        cloud,
        "CREATE TRIGGER broken BEFORE INSERT ON accounts_audit BEGIN SELECT RAISE(ABORT, 'x'); END",
    )
    try:
        with pytest.raises(IntegrityError):
            act()
    finally:
        command(cloud, "DROP TRIGGER broken")
    assert dump(cloud) == before
    known = {entry.id for entry in cloud.accounts.audit(limit=1000)}
    act()
    new = [entry for entry in cloud.accounts.audit(limit=1000) if entry.id not in known]
    assert [entry.by for entry in new] == [BYS.get(name, BY)]
