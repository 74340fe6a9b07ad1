# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from insight_cloud.devices.assignment import MAX_REVISIONS
from insight_cloud.devices.device import Query
from insight_cloud.devices.rules import MAX_REVISION, next_revision
from insight_cloud.devices.service import Devices
from insight_cloud.devices.tables import DesiredRow
from insight_cloud.devices.whynot import Standing, why_not_updated
from insight_cloud.platform.database import Database
from insight_cloud.platform.errors import ConflictError, NotFoundError
from insight_edge.documents.desired import Assignment, Challenging
from insight_edge.documents.device import DeploymentState, Refusal
from insight_edge.errors import DocumentError
from tests.fakes.fleet_devices import BUNDLE, NOW, OTHER, birth, death, enrol, state, told
from tests.fakes.hardware import profile_of

CHALLENGER = Assignment(bundle=OTHER, role="challenger", share=0.1)
REFUSAL = Refusal(
    kind="SelfCheckError", reason="output 3 is off by 0.2", phase="verify", bundle=BUNDLE, at_s=1.0
)
DONE = DeploymentState(serving=BUNDLE, committed=BUNDLE, attached=True)
STANDING = Standing(
    deployment="default",
    revision=2,
    wanted=Assignment(bundle=BUNDLE),
    online=True,
    last_seen=NOW,
    reported=state(2, deployments={"default": DeploymentState(serving=OTHER, attached=True)}),
)


@pytest.fixture
def devices(database: Database) -> Devices:
    return Devices(database)


def with_state(deployment: DeploymentState) -> Standing:
    return replace(STANDING, reported=state(2, deployments={"default": deployment}))


def test_every_change_is_a_revision_with_all_that_was_assigned(devices: Devices) -> None:
    enrol(devices)
    assert devices.desired("camera-1") is None
    assert devices.set_desired("camera-1", "default", BUNDLE, by="ann", now=NOW) == 1
    assert devices.set_desired("camera-1", "second", CHALLENGER, by="bob", now=NOW) == 2
    found = devices.desired("camera-1")
    assert found is not None
    assert found.deployments == {"default": Assignment(bundle=BUNDLE), "second": CHALLENGER}
    assert (found.revision, found.by, found.at) == (2, "bob", NOW)
    assert devices.device("camera-1").desired == 2


def test_what_is_assigned_already_is_no_change_unless_it_is_renewed(devices: Devices) -> None:
    enrol(devices)
    assert devices.renew_desired("camera-1", by="ann", now=NOW) is None
    for _ in range(2):
        assert devices.set_desired("camera-1", "default", BUNDLE, by="ann", now=NOW) == 1
    before = devices.desired("camera-1")
    assert devices.renew_desired("camera-1", by="ann", now=NOW) == 2
    after = devices.desired("camera-1")
    assert before is not None
    assert after is not None
    assert after.deployments == before.deployments


BESIDE = Challenging(bundle=OTHER, share=0.1)


def challenger(devices: Devices) -> Challenging | None:
    found = devices.desired("camera-1")
    assert found is not None
    return found.deployments["default"].challenger


def test_challenger_stays_until_it_is_ended_or_has_won(devices: Devices) -> None:
    enrol(devices)

    def challenge(wanted: Challenging | None) -> int:
        return devices.set_challenger("camera-1", "default", wanted, by="ann", now=NOW)

    with pytest.raises(NotFoundError, match="nothing is assigned to 'default'"):
        challenge(BESIDE)
    devices.set_desired("camera-1", "default", BUNDLE, by="ann", now=NOW)
    with pytest.raises(ConflictError, match="is what 'default' should serve"):
        challenge(Challenging(bundle=BUNDLE))
    assert [challenge(BESIDE), challenge(BESIDE)] == [2, 2]
    third = "sha256:" + "3" * 64
    assert devices.set_desired("camera-1", "default", third, by="ann", now=NOW) == 3
    assert challenger(devices) == BESIDE
    assert devices.set_desired("camera-1", "default", third, by="ann", now=NOW) == 3
    assert devices.set_desired("camera-1", "default", OTHER, by="ann", now=NOW) == 4
    assert challenger(devices) is None
    devices.set_desired("camera-1", "default", BUNDLE, by="ann", now=NOW)
    assert [challenge(BESIDE), challenge(None), challenge(None)] == [6, 7, 7]
    assert challenger(devices) is None


def test_going_back_is_a_higher_revision(devices: Devices) -> None:
    enrol(devices)
    wanted = [BUNDLE, OTHER, BUNDLE]
    revisions = [
        devices.set_desired("camera-1", "default", bundle, by="ann", now=NOW) for bundle in wanted
    ]
    assert revisions == [1, 2, 3]


def test_a_cloud_restored_from_a_backup_goes_on_beyond_what_devices_know(devices: Devices) -> None:
    enrol(devices)
    devices.hear(told(birth(), state(41)), NOW)
    assert devices.set_desired("camera-1", "default", BUNDLE, by="ann", now=NOW) == 42


@given(st.integers(0, MAX_REVISION), st.integers(0, MAX_REVISION))
def test_the_next_revision_is_higher_than_any_that_can_be_meant(desired: int, known: int) -> None:
    found = next_revision(desired, known)
    assert found > desired
    assert found > known or known == MAX_REVISION


def test_old_revisions_go(devices: Devices, database: Database) -> None:
    enrol(devices)
    devices.set_desired("camera-1", "default", BUNDLE, by="ann", now=NOW)
    for _ in range(MAX_REVISIONS + 5):
        devices.renew_desired("camera-1", by="ann", now=NOW)
    found = devices.desired("camera-1")
    assert found is not None
    assert found.revision == MAX_REVISIONS + 6
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(DesiredRow)) == MAX_REVISIONS


def test_what_cannot_be_assigned_is_refused(devices: Devices) -> None:
    enrol(devices)
    with pytest.raises(DocumentError, match="not a name"):
        devices.set_desired("camera-1", "a/b", BUNDLE, by="ann", now=NOW)
    with pytest.raises(NotFoundError, match="no device 'camera-2'"):
        devices.set_desired("camera-2", "default", BUNDLE, by="ann", now=NOW)
    for ask in (devices.desired, devices.reported, devices.facts, devices.timeline, devices.device):
        with pytest.raises(NotFoundError, match="no device 'camera-2'"):
            ask("camera-2")


def test_devices_are_listed_page_by_page_in_the_order_of_their_names(devices: Devices) -> None:
    names = [f"camera-{number:02}" for number in range(7)]
    for name in reversed(names):
        enrol(devices, name)
    found, after = [], None
    for _ in range(3):
        page = devices.devices(after=after, limit=3)
        assert page.total == 7
        found += [device.name for device in page.devices]
        after = page.after
    assert found == names
    assert after is None
    assert devices.devices(after="camera-06").devices == ()


def test_devices_are_found_by_what_is_known_of_them(devices: Devices) -> None:
    for name in ("camera-1", "camera-2", "cam_era", "robot"):
        enrol(devices, name)
    serving = {"default": DeploymentState(serving=BUNDLE)}
    devices.set_desired("camera-2", "default", BUNDLE, by="ann", now=NOW)
    devices.hear(told(birth(), state(0, deployments=serving, held=True)), NOW)
    devices.retire_device("robot", by="ann", now=NOW)

    def names(query: Query) -> list[str]:
        return [device.name for device in devices.devices(query).devices]

    assert names(Query()) == ["cam_era", "camera-1", "camera-2"]
    assert names(Query(text="camera")) == ["camera-1", "camera-2"]
    assert names(Query(text="_")) == ["cam_era"]
    assert names(Query(text="%")) == []
    assert names(Query(online=True)) == names(Query(held=True)) == ["camera-1"]
    assert names(Query(serving=BUNDLE)) == ["camera-1"]
    assert names(Query(behind=True)) == ["camera-2"]
    assert names(Query(behind=False)) == ["cam_era", "camera-1"]
    assert names(Query(profile="box")) == ["cam_era", "camera-1", "camera-2"]
    assert names(Query(profile="other")) == []
    assert names(Query(retired=True)) == ["robot"]
    assert names(Query(retired=None, text="r")) == ["cam_era", "camera-1", "camera-2", "robot"]


def test_a_deployment_that_is_gone_is_found_no_more(devices: Devices) -> None:
    enrol(devices)
    for at_s, deployments in ((1.0, {"a": DONE}), (2.0, {"b": DeploymentState()})):
        devices.hear(told(state(0, at_s, deployments=deployments)), NOW)
    assert devices.devices(Query(serving=BUNDLE)).total == 0


@pytest.mark.parametrize(
    ("standing", "says"),
    [
        (replace(STANDING, retired=NOW), "The device was retired on 2026-11-21."),
        (replace(STANDING, wanted=None), "Nothing was assigned to 'default' yet."),
        (
            replace(STANDING, release_state="the rollout is paused"),
            "It is not released to the device: the rollout is paused.",
        ),
        (
            replace(STANDING, mismatch="needs avx2, which is gone"),
            "Its hardware has changed: the profile it was enrolled for needs avx2, which is gone.",
        ),
        (
            replace(STANDING, last_seen=None, online=False, reported=None),
            "The device was enrolled and has not connected yet.",
        ),
        (
            replace(STANDING, online=False),
            "The device is offline; it was last seen on 2026-11-21 12:30 UTC.",
        ),
        (
            replace(STANDING, reported=None),
            "The device is online and has not told its state yet.",
        ),
        (
            replace(STANDING, reported=state(1, held=True)),
            "The device's owner has stopped updates on it.",
        ),
        (
            replace(STANDING, reported=state(1, refusal=msgspec.structs.replace(REFUSAL))),
            "The device refuses to be told: SelfCheckError while verify: output 3 is off by 0.2.",
        ),
        (
            replace(STANDING, reported=state(1)),
            "The device is online at revision 1 and has not accepted 2 yet.",
        ),
        (
            replace(STANDING, reported=state(2)),
            "The device knows no deployment 'default'.",
        ),
        (
            with_state(DeploymentState(phase="probation", serving=BUNDLE, committed=OTHER)),
            "It serves the new bundle on probation.",
        ),
        (
            with_state(
                DeploymentState(
                    phase="fetching", target=BUNDLE, progress_bytes=1_500_000, total_bytes=8_000_000
                )
            ),
            "The device is fetching it: 1.5 of 8.0 MB.",
        ),
        (
            with_state(DeploymentState(phase="staging", target=BUNDLE)),
            "The update is under way: staging.",
        ),
        (
            with_state(DeploymentState(serving=OTHER, restored_from=BUNDLE)),
            "It was installed and given up in its probation.",
        ),
        (
            with_state(DeploymentState(serving=OTHER, refusal=REFUSAL, attached=True)),
            "The device refused it: SelfCheckError while verify: output 3 is off by 0.2.",
        ),
        (
            with_state(DeploymentState(committed=BUNDLE)),
            (
                "Bundle bbbbbbbbbbbb is committed on camera-1; it will serve when an application "
                "attaches to 'default'."
            ),
        ),
        (
            with_state(DeploymentState(phase="activating", target=BUNDLE, committed=OTHER)),
            (
                "Bundle bbbbbbbbbbbb is staged on camera-1; it will be activated when an "
                "application attaches to 'default'."
            ),
        ),
        (
            with_state(DeploymentState(phase="activating", target=BUNDLE, attached=True)),
            "The update is under way: activating.",
        ),
        (STANDING, "The device accepted revision 2 and has not begun yet."),
        (with_state(DONE), None),
    ],
)
def test_one_sentence_says_why_a_device_is_not_updated(
    standing: Standing, says: str | None
) -> None:
    assert why_not_updated(standing) == says


def test_a_device_that_runs_what_it_should_needs_no_excuse() -> None:
    assert why_not_updated(replace(with_state(DONE), online=False, release_state="x")) is None


def test_an_old_refusal_of_another_bundle_explains_nothing() -> None:
    other = msgspec.structs.replace(REFUSAL, bundle=OTHER)
    found = why_not_updated(with_state(DeploymentState(refusal=other, attached=True)))
    assert found == "The device accepted revision 2 and has not begun yet."


def test_the_reason_is_worked_out_from_what_is_stored(devices: Devices) -> None:
    enrol(devices)

    def reason() -> str | None:
        return devices.not_updated_reason("camera-1", "default", profile=profile_of())

    assert reason() == "Nothing was assigned to 'default' yet."
    devices.set_desired("camera-1", "default", BUNDLE, by="ann", now=NOW)
    assert reason() == "The device was enrolled and has not connected yet."
    devices.hear(told(birth(), state(1, deployments={"default": DONE})), NOW)
    assert reason() is None
    devices.set_desired("camera-1", "default", OTHER, by="ann", now=NOW)
    assert reason() == "The device is online at revision 1 and has not accepted 2 yet."
    stricter = profile_of(isa=("amx_int8",))
    found = devices.not_updated_reason("camera-1", "default", profile=stricter)
    assert found is not None
    assert "needs amx_int8" in found
    devices.hear(told(death()), NOW)
    assert "offline" in str(reason())
