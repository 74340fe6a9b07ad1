# SPDX-License-Identifier: Apache-2.0
"""Several processes that take the same messages in, into one database file."""

from datetime import timedelta
from pathlib import Path

from insight_cloud.telemetry.service import Telemetry
from insight_edge.documents.codec import digest
from tests.fakes.ingester import allow, start_ingester, write_messages
from tests.fakes.migrated import migrated_database
from tests.fakes.telemetry import NOW, find_bundle, message, outcome, predictions, report, sum_of

REPORTS = [report(number // 4, device=f"camera-{number % 4}") for number in range(240)]


def test_two_processes_with_the_same_messages_count_each_once(tmp_path: Path) -> None:
    database = migrated_database(tmp_path / "cloud.sqlite")
    messages = [
        *map(message, REPORTS),
        *(message(predictions((number, number + 1))) for number in range(40)),
        *(message(outcome(number, number % 2)) for number in range(40)),
    ]
    orders = {"forth": messages, "back": messages[::-1]}
    for name, order in orders.items():
        write_messages(tmp_path / name, order)
    children = [
        start_ingester(tmp_path / "cloud.sqlite", tmp_path / name, batch)
        for name, batch in (("forth", 7), ("back", 11))
    ]
    for child in children:
        allow(child, len(messages))
    every = {digest(payload) for _, payload in messages}
    for child in children:
        out, _ = child.communicate(timeout=120)
        assert child.returncode == 0
        assert set(out.split()) == every, "each acknowledges all that it was handed"

    telemetry = Telemetry(database, find_bundle, tmp_path / "log")
    while telemetry.roll_up(NOW):
        pass
    found = telemetry.totals(since=NOW, until=NOW + timedelta(hours=1))
    assert {slot.device: total for slot, total in found.items()} == {
        f"camera-{n}": sum_of([r for r in REPORTS if r.device == f"camera-{n}"]) for n in range(4)
    }
    [joined] = telemetry.joined(REPORTS[0].bundle, NOW)
    assert (joined.predictions, joined.outcomes, joined.correct) == (41, 40, 20)
    assert telemetry.quarantined() == ()
    database.close()
