# SPDX-License-Identifier: Apache-2.0
"""The use cases of telemetry, one transaction each.

It connects to nothing: whoever listens to the broker hands batches over and
acknowledges what is receipted, after `ingest` has returned and never before.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from insight_cloud.platform.database import Database
from insight_cloud.platform.schema import TENANT
from insight_cloud.telemetry import (
    challenges,
    claiming,
    health,
    joining,
    pending,
    quarantine,
    samples,
    segmenting,
    taking,
    windows,
)
from insight_cloud.telemetry.challenges import Challenged
from insight_cloud.telemetry.checking import Counted, check_all
from insight_cloud.telemetry.heads import OutcomeHead
from insight_cloud.telemetry.health import Health
from insight_cloud.telemetry.joining import Asked, Joined
from insight_cloud.telemetry.learning import Learnt, Taken, read_outcomes, store_outcomes
from insight_cloud.telemetry.log import log_path, write_log
from insight_cloud.telemetry.quarantine import Quarantined
from insight_cloud.telemetry.reading import Message, Reading, Values, outcome_row
from insight_cloud.telemetry.releasing import release
from insight_cloud.telemetry.retention import Retention, let_go
from insight_cloud.telemetry.rollups import Adding, Slot
from insight_cloud.telemetry.rules import HOUR_S, Fate, FindBundle, Receipt, hour_of
from insight_cloud.telemetry.samples import Sample, SampleState
from insight_cloud.telemetry.segments import SEGMENT_ROWS, Segment
from insight_cloud.telemetry.storing import SeenError
from insight_cloud.telemetry.totals import Totals
from insight_cloud.telemetry.windows import WindowFigures
from insight_edge.documents.codec import digest, encode_json
from insight_edge.documents.delivery import Outcome
from insight_edge.documents.topics import Kind, Topic
from insight_edge.errors import DocumentError

QUOTA_WINDOW = timedelta(days=1)
OUTCOMES_AT_ONCE = 500
"""In one transaction: others wait for it."""


class Telemetry:
    """What the devices of all fleets count and answer; threads may share it.

    Args:
        database: where it is kept.
        find_bundle: gives the grids and classes of a bundle by its digest.
        log: the folder of the prediction log.
        segment_rows: that make a segment complete.
    """

    def __init__(
        self,
        database: Database,
        find_bundle: FindBundle,
        log: Path,
        *,
        segment_rows: int = SEGMENT_ROWS,
    ) -> None:
        self._database = database
        self._log = log
        self._reading = Reading(find_bundle)
        self._adding = Adding(self._reading, segment_rows)

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
        read, counted = check_all(read)
        try:
            return self._store(read, counted, arrived_s, unseen=True)
        except SeenError:
            return self._store(read, counted, arrived_s, unseen=False)

    def _store(
        self,
        read: Sequence[Message],
        counted: Mapping[str, Counted],
        arrived_s: float,
        *,
        unseen: bool,
    ) -> list[Receipt]:
        with self._database.write() as session:
            receipts, bad = taking.take(session, read, counted, unseen=unseen)
            suspects = [(m.topic, m.payload, taking.fault_of(m)) for m in bad]
            quarantine.put_away(session, suspects, arrived_s)
            fates = [
                (message.topic[:2], receipt.fate)
                for message, receipt in zip(read, receipts, strict=True)
                if receipt.fate is not Fate.STORED
            ]
            health.count_in(
                session,
                duplicates=Counter(whose for whose, fate in fates if fate is Fate.DUPLICATE),
                quarantined=Counter(whose for whose, fate in fates if fate is Fate.QUARANTINED),
            )
        return receipts

    def put_away(
        self, suspects: Sequence[tuple[Topic, bytes, tuple[str, str]]], now: datetime
    ) -> None:
        """Quarantine messages of other kinds, each with what is wrong with it: class and reason."""
        if not suspects:
            return
        with self._database.write() as session:
            quarantine.put_away(session, suspects, now.timestamp())
            whose = Counter(topic[:2] for topic, _, _ in suspects)
            health.count_in(session, duplicates={}, quarantined=whose)

    def roll_up(self, now: datetime, *, limit: int = 256) -> int:
        """Add reports up that are not in the totals yet, and return how many.

        They are at most `limit`, or one batch of more. Call it until it returns 0. Reports that
        an hour cannot hold any more are quarantined here.
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
        chosen = {name: value for name, value in named.items() if value is not None}
        last = hour_of(until.timestamp() - 1e-6)
        with self._database.read() as session:
            return self._adding.totals(session, chosen, hour_of(since.timestamp()), last + 1)

    def segments(
        self, bundle: str, *, after: int = 0, limit: int = 100, tenant: str = TENANT
    ) -> tuple[Segment, ...]:
        """Return the complete segments of a bundle that come after a number, in order.

        Nothing is returned for a bundle that is not known (any more).
        """
        known = self._reading.bundle(bundle)
        if known is None:
            return ()
        with self._database.read() as session:
            return segmenting.complete(session, (tenant, bundle), known, after, max(0, limit))

    def segmented(self, *, tenant: str = TENANT) -> dict[str, int]:
        """Return the number of the newest complete segment, by bundle."""
        with self._database.read() as session:
            return segmenting.newest(session, tenant)

    def windows(
        self, device: str, deployment: str, *, limit: int = 100, tenant: str = TENANT
    ) -> tuple[WindowFigures, ...]:
        """Return the latest windows of a deployment, the newest first."""
        with self._database.read() as session:
            return windows.latest(session, tenant, device, deployment, max(0, limit))

    def challenged(
        self, *, device: str | None = None, bundle: str | None = None, tenant: str = TENANT
    ) -> tuple[Challenged, ...]:
        """Return what challengers did on each deployment, the latest first."""
        named = {"tenant": tenant, "device": device, "bundle": bundle}
        chosen = {name: value for name, value in named.items() if value is not None}
        with self._database.read() as session:
            return challenges.find(session, chosen)

    def bundle_known(self, bundle: str, now: datetime, *, tenant: str = TENANT) -> None:
        """Let reports of a bundle be added up that came before it was known.

        Those that no rows can have made are quarantined.
        """
        known = self._reading.bundle(bundle)
        is_more = known is not None
        while known is not None and is_more:
            with self._database.write() as session:
                is_more = release(session, (tenant, bundle), known, now.timestamp())

    def release_waiting(self, now: datetime) -> int:
        """Let reports be added up whose bundle has become known, and return of how many bundles."""
        with self._database.read() as session:
            waiting = pending.waiting_bundles(session)
        found = [whose for whose in waiting if self._reading.bundle(whose[1]) is not None]
        for tenant, bundle in found:
            self.bundle_known(bundle, now, tenant=tenant)
        return len(found)

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
            StorageError: a file cannot be written; its results stay for the next flush.
        """
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

    def joined(
        self,
        bundle: str,
        since: datetime,
        *,
        each_s: int = HOUR_S,
        device: str | None = None,
        tenant: str = TENANT,
    ) -> tuple[Joined, ...]:
        """Return how the sampled results of a bundle turned out, step by step.

        Args:
            bundle: digest of its manifest.
            since: the first step is the one that holds it.
            each_s: how long a step is; steps begin at multiples of it since the epoch.
            device: None for all together.
            tenant: whose.

        Raises:
            ValueError: a step is no second long.
        """
        if each_s < 1:
            raise ValueError(f"a step of {each_s} s")
        known = self._reading.bundle(bundle)
        asked = Asked(
            tenant=tenant,
            bundle=bundle,
            since_s=since.timestamp(),
            each_s=each_s,
            device=device,
        )
        with self._database.read() as session:
            return joining.joined(session, asked, () if known is None else known.classes)

    def health(self, *, device: str | None = None, tenant: str = TENANT) -> dict[str, Health]:
        """Return how the reports of one device or of all arrive, by device."""
        with self._database.read() as session:
            return health.healths(session, tenant, device)

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

    def take_outcomes(
        self, learnt: Sequence[Learnt], *, by: str, now: datetime, tenant: str = TENANT
    ) -> Taken:
        """Record what another system has learnt of results, each taken or refused alone.

        Some are committed at a time. What is known already changes nothing, so a call that was
        interrupted may be made again; the order does not matter, the latest counts.
        """
        rows, refused = read_outcomes(tenant, learnt, now.timestamp())
        taken = 0
        for start in range(0, len(rows), OUTCOMES_AT_ONCE):
            with self._database.write() as session:
                some = rows[start : start + OUTCOMES_AT_ONCE]
                taken += store_outcomes(session, tenant, some, by=by, now=now)
        return Taken(taken=taken, known=len(rows) - taken, refused=refused)

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
        self,
        bundle: str,
        *,
        most: int,
        each: int,
        now: datetime,
        since_s: float | None = None,
        tenant: str = TENANT,
    ) -> tuple[Sample, ...]:
        """Ask for the most telling samples of a bundle, and return those newly asked for.

        Args:
            bundle: digest of its manifest.
            most: how many in all.
            each: how many of one device a day, whatever the bundle.
            now: when.
            since_s: only inputs from then on, seconds since the epoch by the device's clock.
            tenant: whose.
        """
        day_s, now_s = (now - QUOTA_WINDOW).timestamp(), now.timestamp()
        with self._database.write() as session:
            return samples.ask(
                session,
                tenant,
                bundle,
                most=most,
                each=each,
                since_s=since_s,
                day_s=day_s,
                now_s=now_s,
            )

    def asked_devices(self, *, tenant: str = TENANT) -> tuple[str, ...]:
        """Return the devices that were asked for samples which they have not uploaded."""
        with self._database.read() as session:
            return samples.holders(session, tenant, SampleState.ASKED)

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
