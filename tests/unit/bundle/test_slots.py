# SPDX-License-Identifier: Apache-2.0
"""Two slots, one committed; crashes at every instant are in tests/faults."""

from pathlib import Path

import pytest

from insight_edge.bundle.open import open_bundle
from insight_edge.bundle.slots import MAX_ACCEPTED, Slots
from insight_edge.errors import DigestMismatchError, DocumentError, SlotError, UnsignedError
from tests.fakes.bundles import ARTIFACT, write_small_bundle


@pytest.fixture
def slots(tmp_path: Path) -> Slots:
    return Slots(tmp_path / "state")


@pytest.fixture
def first(tmp_path: Path) -> Path:
    write_small_bundle(tmp_path / "first", b"first")
    return tmp_path / "first"


@pytest.fixture
def second(tmp_path: Path) -> Path:
    write_small_bundle(tmp_path / "second", b"second")
    return tmp_path / "second"


def served(slots: Slots, slot: str) -> bytes:
    return slots.bundle(slot, allow_unsigned=True).file(ARTIFACT).read_bytes()


def test_nothing_is_committed_on_a_new_device(slots: Slots) -> None:
    assert slots.committed is None
    assert slots.idle == "a"
    with pytest.raises(SlotError, match="slot a is empty"):
        slots.bundle("a", allow_unsigned=True)


def test_bundles_take_turns_in_the_slots(slots: Slots, first: Path, second: Path) -> None:
    assert slots.stage(first) == "a"
    slots.commit("a")
    assert (slots.committed, slots.idle) == ("a", "b")
    assert slots.stage(second) == "b"
    assert served(slots, "a") == b"first"
    slots.commit("b")
    assert (slots.committed, slots.idle) == ("b", "a")
    assert served(slots, "b") == b"second"
    assert served(slots, "a") == b"first"


def test_staging_replaces_what_was_staged(slots: Slots, first: Path, second: Path) -> None:
    assert slots.stage(first) == slots.stage(second) == "a"
    assert served(slots, "a") == b"second"


def test_commit_survives_a_restart(tmp_path: Path, slots: Slots, first: Path) -> None:
    slots.commit(slots.stage(first))
    assert Slots(tmp_path / "state").committed == "a"


def test_damaged_bundle_is_not_staged_and_the_slot_keeps_its_own(
    slots: Slots, first: Path, second: Path
) -> None:
    slots.stage(first)
    (second / ARTIFACT).write_bytes(b"SECOND")
    with pytest.raises(DigestMismatchError):
        slots.stage(second)
    assert served(slots, "a") == b"first"


def test_unsigned_bundle_in_a_slot_is_refused_where_it_is_not_allowed(
    slots: Slots, first: Path
) -> None:
    slots.stage(first)
    with pytest.raises(UnsignedError):
        slots.bundle("a", allow_unsigned=False)


def test_accepted_bundle_is_signed_wherever_it_lies(
    tmp_path: Path, slots: Slots, first: Path, second: Path
) -> None:
    slots.stage(first)
    slots.accept(open_bundle(first, allow_unsigned=True).digest)
    assert slots.bundle("a", allow_unsigned=False).signed
    assert Slots(tmp_path / "state").bundle("a", allow_unsigned=True).signed
    slots.stage(second)
    with pytest.raises(UnsignedError):
        slots.bundle("a", allow_unsigned=False)


def test_accepted_manifest_that_was_changed_is_unsigned(
    tmp_path: Path, slots: Slots, first: Path
) -> None:
    slots.stage(first)
    slots.accept(open_bundle(first, allow_unsigned=True).digest)
    manifest = tmp_path / "state" / "slots" / "a" / "manifest.json"
    manifest.write_bytes(manifest.read_bytes() + b" ")
    with pytest.raises(UnsignedError):
        slots.bundle("a", allow_unsigned=False)


def test_last_accepted_are_remembered_and_rubbish_among_them_is_not(
    tmp_path: Path, slots: Slots
) -> None:
    digests = [f"sha256:{number:064x}" for number in range(MAX_ACCEPTED + 2)]
    for digest in [*digests, digests[3]]:
        slots.accept(digest)
    assert slots.accepted == (digests[2], *digests[4:], digests[3])
    (tmp_path / "state" / "accepted").write_text(f"x\nsha256:\n{digests[0]}\n*\n")
    assert slots.accepted == (digests[0],)
    with pytest.raises(ValueError, match="not a digest"):
        slots.accept("*")


def test_committed_slot_is_never_cleared(slots: Slots, first: Path) -> None:
    slots.commit(slots.stage(first))
    with pytest.raises(SlotError, match="slot a is committed"):
        slots.clear("a")
    assert served(slots, "a") == b"first"


def test_cleared_slot_is_empty_and_clearing_it_again_is_nothing(
    tmp_path: Path, slots: Slots, first: Path
) -> None:
    slots.stage(first)
    slots.clear("a")
    slots.clear("a")
    assert list((tmp_path / "state" / "slots").iterdir()) == []


@pytest.mark.parametrize("slot", ["c", "", "../a"])
def test_unknown_slot_is_refused(slots: Slots, slot: str) -> None:
    for act in (slots.commit, slots.clear, lambda s: slots.bundle(s, allow_unsigned=True)):
        with pytest.raises(SlotError, match="no slot"):
            act(slot)


def test_empty_or_broken_slot_is_not_committed(tmp_path: Path, slots: Slots, first: Path) -> None:
    with pytest.raises(SlotError, match="slot b is empty"):
        slots.commit("b")
    slots.stage(first)
    (tmp_path / "state" / "slots" / "a" / ARTIFACT).write_bytes(b"")
    with pytest.raises(SlotError, match="does not hold a whole bundle"):
        slots.commit("a")
    assert slots.committed is None


@pytest.mark.parametrize("text", ["c", "", "a b", "ä"])
def test_committed_that_is_not_a_slot_is_refused(tmp_path: Path, slots: Slots, text: str) -> None:
    (tmp_path / "state" / "committed").write_text(text, encoding="utf-8")
    with pytest.raises(SlotError, match="is not a slot"):
        _ = slots.committed


def test_boots_are_counted_from_one_across_restarts(tmp_path: Path, slots: Slots) -> None:
    assert [slots.next_boot(), slots.next_boot()] == [1, 2]
    assert Slots(tmp_path / "state").next_boot() == 3


@pytest.mark.parametrize("text", ["x", "-1", "1.5", "²"])
def test_boot_counter_that_is_not_a_number_is_refused(
    tmp_path: Path, slots: Slots, text: str
) -> None:
    (tmp_path / "state" / "boot").write_text(text, encoding="utf-8")
    with pytest.raises(SlotError, match="is not a number"):
        slots.next_boot()


def test_state_that_cannot_be_read_is_a_slot_error(tmp_path: Path, slots: Slots) -> None:
    (tmp_path / "state" / "committed").mkdir()
    with pytest.raises(SlotError, match="cannot be read"):
        _ = slots.idle


def test_what_is_no_bundle_is_not_staged(tmp_path: Path, slots: Slots) -> None:
    with pytest.raises(DocumentError, match="no such file"):
        slots.stage(tmp_path / "nowhere")


def test_cache_beside_a_slot_goes_with_what_it_was_compiled_from(
    tmp_path: Path, slots: Slots, first: Path, second: Path
) -> None:
    beside = tmp_path / "state" / "slots"
    cache = slots.bundle(slots.stage(first), allow_unsigned=True).cache
    assert cache == beside / "a.cache"
    for name in ("a.cache", ".a.cache.0123abcd", "b.cache"):
        (beside / name).write_bytes(b"compiled")
    slots.stage(second)
    assert sorted(each.name for each in beside.iterdir()) == ["a", "b.cache"]
