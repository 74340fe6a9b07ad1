# SPDX-License-Identifier: Apache-2.0
"""The use cases of telemetry, one transaction each.

It connects to nothing: whoever listens to the broker hands batches over and
acknowledges what is receipted, after `ingest` has returned and never before.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from insight_cloud.platform.database import Database
from insight_cloud.platform.schema import TENANT
from insight_cloud.telemetry import (
    claiming,
    joining,
    quarantine,
    rollups,
    samples,
    taking,
    windows,
)
from insight_cloud.telemetry.heads import OutcomeHead
from insight_cloud.telemetry.joining import Joined
from insight_cloud.telemetry.log import log_path, parquet_library, write_log
from insight_cloud.telemetry.quarantine import Quarantined
from insight_cloud.telemetry.reading import Reading, Values, outcome_row
from insight_cloud.telemetry.retention import Retention, let_go
from insight_cloud.telemetry.rollups import Adding, Slot
from insight_cloud.telemetry.rules import FindBundle, Receipt, hour_of
from insight_cloud.telemetry.samples import Sample, SampleState
from insight_cloud.telemetry.totals import Totals
from insight_cloud.telemetry.windows import WindowFigures
from insight_edge.documents.codec import digest, encode_json
from insight_edge.documents.delivery import Outcome
from insight_edge.documents.topics import Kind, Topic
from insight_edge.errors import DocumentError

QUOTA_WINDOW = timedelta(days=1)


class Telemetry:
    """What the devices of all fleets count and answer; threads may share it.

    Args:
        database: where it is kept.
        find_bundle: gives the grids and classes of a bundle by its digest.
        log: the folder of the prediction log.
    """

    def __init__(self, database: Database, find_bundle: FindBundle, log: Path) -> None:
        self._database = database
        self._log = log
        self._reading = Reading(find_bundle)
        self._adding = Adding(self._reading)

    def ingest(self, messages: Sequence[tuple[Topic, bytes]], now: datetime) -> list[Receipt]:
        """Store a batch of reports, predictions, sample offers and outcomes, each once.

        All of them are committed when this returns, or none: every digest in the receipts may be
        acknowledged. What cannot be believed is quarantined and receipted too.

        Raises:
            ValueError: a topic is none of telemetry.
            StorageError: nothing was stored; hand the batch over again.
        """
        if not messages:
            return []
        arrived_s = now.timestamp()
        read = [self._reading.read(topic, payload, arrived_s) for topic, payload in messages]
        with self._database.write() as session:
            receipts, bad = taking.take(session, read)
            suspects = [(m.topic, m.payload, taking.fault_of(m)) for m in bad]
            quarantine.put_away(session, suspects, arrived_s)
        return receipts

    def roll_up(self, now: datetime, *, limit: int = 256) -> int:
        """Add up to `limit` reports that are not in the totals yet, and return how many.

        Call it until it returns 0. Reports that no rows can have made are quarantined here.
        """
        with self._database.write() as session:
            return self._adding.merge_new(session, limit, now.timestamp())

    def totals(
        self,
        *,
        since: datetime,
        until: datetime,
        bundle: str | None = None,
        device: str | None = None,
        deployment: str | None = None,
        tenant: str = TENANT,
    ) -> dict[Slot, Totals]:
        """Return exact totals by device, deployment, bundle and hour, rolled up or not.

        The hours are whole ones, from that of `since` to the last that began before `until`.
        """
        named = {"tenant": tenant, "bundle": bundle, "device": device, "deployment": deployment}
        chosen = [(name, value) for name, value in named.items() if value is not None]
        last = hour_of(until.timestamp() - 1e-6)
        with self._database.read() as session:
            return self._adding.totals(session, chosen, hour_of(since.timestamp()), last + 1)

    def windows(
        self, device: str, deployment: str, *, limit: int = 100, tenant: str = TENANT
    ) -> tuple[WindowFigures, ...]:
        """Return the latest windows of a deployment, the newest first."""
        with self._database.read() as session:
            return windows.latest(session, tenant, device, deployment, max(0, limit))

    def bundle_known(self, bundle: str, *, tenant: str = TENANT) -> None:
        """Let reports of a bundle be added up that came before it was known."""
        with self._database.write() as session:
            rollups.release_waiting(session, tenant, bundle)

    def quarantined(
        self, *, device: str | None = None, limit: int = 100, tenant: str = TENANT
    ) -> tuple[Quarantined, ...]:
        """Return what was quarantined last, the newest first."""
        with self._database.read() as session:
            return quarantine.newest(session, tenant, device, max(0, limit))

    def flush(self, now: datetime) -> tuple[Path, ...]:
        """Write the results that came until now and are not in the prediction log yet.

        A flush that was interrupted is finished by the next; no result is logged twice.

        Raises:
            MissingError: pyarrow is not installed; nothing was done.
            StorageError: a file cannot be written; its results stay for the next flush.
        """
        parquet_library()
        with self._database.write() as session:
            files = claiming.claim(session, now.timestamp())
        written = []
        for file in files:
            with self._database.read() as session:
                rows = claiming.rows_of(session, file)
            if not rows:
                continue
            path = log_path(self._log, *file)
            write_log(path, rows)
            with self._database.write() as session:
                claiming.mark_logged(session, file)
            written.append(path)
        return tuple(written)

    def joined(self, bundle: str, since: datetime, *, tenant: str = TENANT) -> tuple[Joined, ...]:
        """Return how the sampled results of a bundle turned out, hour by hour."""
        known = self._reading.bundle(bundle)
        classes = () if known is None else known.classes
        with self._database.read() as session:
            return joining.joined(session, tenant, bundle, classes, hour_of(since.timestamp()))

    def record_outcomes(
        self, device: str, outcomes: Sequence[Outcome], now: datetime, *, tenant: str = TENANT
    ) -> None:
        """Record what the cloud itself has learnt of results of a device, such as labels.

        Raises:
            WrongDeviceError: one is about a result of another device.
            DocumentError: one names no result, or is out of bounds; nothing was recorded.
        """
        topic = Topic(tenant, device, Kind.OUTCOME)
        rows = [_row(topic, outcome, now) for outcome in outcomes]
        with self._database.write() as session:
            taking.keep_outcomes(session, rows)

    def samples(
        self,
        state: SampleState,
        *,
        bundle: str | None = None,
        device: str | None = None,
        limit: int = 100,
        tenant: str = TENANT,
    ) -> tuple[Sample, ...]:
        """Return the samples in a state, the newest first."""
        with self._database.read() as session:
            return samples.listed(
                session, tenant, state, bundle=bundle, device=device, limit=max(0, limit)
            )

    def ask_samples(
        self, bundle: str, *, most: int, each: int, now: datetime, tenant: str = TENANT
    ) -> tuple[Sample, ...]:
        """Ask for the most telling samples of a bundle, and return those newly asked for.

        Args:
            bundle: digest of its manifest.
            most: how many in all.
            each: how many of one device a day, whatever the bundle.
            now: when.
            tenant: whose.
        """
        since_s, now_s = (now - QUOTA_WINDOW).timestamp(), now.timestamp()
        with self._database.write() as session:
            return samples.ask(
                session, tenant, bundle, most=most, each=each, since_s=since_s, now_s=now_s
            )

    def wanted_uploads(self, device: str, *, tenant: str = TENANT) -> tuple[Sample, ...]:
        """Return the samples that a device was asked for and has not uploaded."""
        with self._database.read() as session:
            return samples.listed(
                session, tenant, SampleState.ASKED, bundle=None, device=device, limit=None
            )

    def move_sample(
        self, device: str, name: str, state: SampleState, now: datetime, *, tenant: str = TENANT
    ) -> bool:
        """Note that a sample was uploaded, labelled or let go; False where that cannot follow."""
        with self._database.write() as session:
            return samples.move(session, tenant, device, name, state, now.timestamp())

    def forget(self, now: datetime, keep: Retention | None = None) -> None:
        """Let go of what is older than it is kept."""
        with self._database.write() as session:
            let_go(session, keep or Retention(), now.timestamp())


def _row(topic: Topic, outcome: Outcome, now: datetime) -> Values:
    plain = {
        name: getattr(outcome, name)
        for name in ("id", "key", "deployment", "label", "at_s", "source")
    }
    try:
        head = msgspec.convert(plain, OutcomeHead)
    except msgspec.ValidationError as error:
        raise DocumentError(f"outcome: {error}") from error
    return outcome_row(topic, head, digest(encode_json(outcome)), now.timestamp())
