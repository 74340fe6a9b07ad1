# SPDX-License-Identifier: Apache-2.0
"""The use cases of monitoring, one transaction each.

It reads what telemetry has added up and what the registry knows, and writes what that
says. It acts on nothing: whoever acts reads the alarms.
"""

from datetime import UTC, datetime

from insight_cloud.accounts.audit import note
from insight_cloud.monitoring import looking, recording
from insight_cloud.monitoring.alarm import Alarm, Heatmap, WindowAssessment, heatmap_of
from insight_cloud.monitoring.judging import Judging
from insight_cloud.monitoring.recording import Judged
from insight_cloud.monitoring.rules import Policy, accuracy_text, check_policy
from insight_cloud.monitoring.tables import AlarmRow, PolicyRow
from insight_cloud.monitoring.watched import Watched, watch
from insight_cloud.platform.blobs import Blobs
from insight_cloud.platform.database import Database
from insight_cloud.platform.errors import ConflictError, NotFoundError
from insight_cloud.platform.schema import TENANT
from insight_cloud.registry.service import Registry
from insight_cloud.telemetry.segments import Segment
from insight_cloud.telemetry.service import Telemetry
from insight_edge.errors import ConfigurationError, DocumentError
from insight_edge.stats.assess import Verdict

AT_ONCE = 20
"""Segments of a bundle that are judged before the next bundle has its turn."""

MAX_PAGE = 500
MAX_REASON = 500
MAX_WATCHED = 64
"""References held in memory; a version's never changes."""


class Monitoring:
    """Whether what devices count still looks like what their model was trained on.

    Args:
        database: with the tables of this domain.
        telemetry: that adds reports up.
        registry: with the rows that references were counted from.
        blobs: with the manifests of published bundles.
    """

    def __init__(
        self, database: Database, telemetry: Telemetry, registry: Registry, blobs: Blobs
    ) -> None:
        self._database = database
        self._telemetry = telemetry
        self._registry = registry
        self._blobs = blobs
        self._judging = Judging(database)
        self._watched: dict[str, Watched] = {}

    def run(self, now: datetime, *, tenant: str = TENANT) -> int:
        """Judge segments that are new, some of every bundle, and return how many.

        Each is judged once, however often and by how many processes this is called. Call it
        until it returns 0.

        Raises:
            StorageError: something cannot be read or written; the rest is judged at the next call.
        """
        with self._database.read() as session:
            assessed = looking.assessed(session, tenant)
        newest = self._telemetry.segmented(tenant=tenant)
        return sum(
            self._judge_new(bundle, assessed.get(bundle, 0), now, tenant)
            for bundle, number in sorted(newest.items())
            if number > assessed.get(bundle, 0)
        )

    def assessments(
        self,
        bundle: str,
        *,
        before: int | None = None,
        limit: int = 100,
        tenant: str = TENANT,
    ) -> tuple[WindowAssessment, ...]:
        """Return the assessed windows of a bundle, the newest first, from before a number."""
        with self._database.read() as session:
            return looking.assessments(
                session, tenant, bundle, before=before, limit=min(max(0, limit), MAX_PAGE)
            )

    def heatmap(self, bundle: str, *, limit: int = 48, tenant: str = TENANT) -> Heatmap:
        """Return the scores of a bundle's last windows by feature, the oldest window first."""
        windows = self.assessments(bundle, limit=limit, tenant=tenant)
        return heatmap_of(bundle, windows[::-1])

    def alarms(
        self, *, is_open: bool | None = True, limit: int = 100, tenant: str = TENANT
    ) -> tuple[Alarm, ...]:
        """Return alarms, the newest first: open ones, closed ones, or all for None."""
        limit = min(max(0, limit), MAX_PAGE)
        with self._database.read() as session:
            rows = looking.alarm_rows(session, tenant, is_open=is_open, limit=limit)
        return tuple(self._alarm(row) for row in rows)

    def alarm(self, number: int, *, tenant: str = TENANT) -> Alarm:
        """Return an alarm.

        Raises:
            NotFoundError: there is no such one.
        """
        with self._database.read() as session:
            row = looking.alarm_row(session, tenant, number)
        return self._alarm(row)

    def acknowledge(
        self, number: int, *, reason: str, by: str, now: datetime, tenant: str = TENANT
    ) -> Alarm:
        """Close an alarm; windows until now have no vote in the next one.

        Raises:
            NotFoundError: there is no such one.
            ConflictError: it is closed already.
            ConfigurationError: the reason is none, or too long.
        """
        if not 0 < len(reason.strip()) <= MAX_REASON:
            raise ConfigurationError(f"say why, in 1 to {MAX_REASON} characters")
        with self._database.read() as session:
            outcomes = self._outcomes_of(looking.alarm_row(session, tenant, number))
        with self._database.write() as session:
            row = looking.alarm_row(session, tenant, number)
            if row.closed is not None:
                raise ConflictError(f"alarm {number} was closed by {row.closed_by}")
            recording.close(session, row, by=by, reason=reason.strip(), outcomes=outcomes, now=now)
        return self.alarm(number, tenant=tenant)

    def policy(self, model: str, *, tenant: str = TENANT) -> Policy:
        """Return when the windows of a model make an alarm."""
        with self._database.read() as session:
            return looking.policy(session, tenant, model)

    def set_policy(
        self, model: str, policy: Policy, *, by: str, now: datetime, tenant: str = TENANT
    ) -> None:
        """Say when windows make an alarm from now on; those that were judged stay as they are.

        Raises:
            ConfigurationError: it cannot be meant.
            NotFoundError: there is no such model.
        """
        check_policy(policy)
        if not self._registry.versions(model):
            raise NotFoundError(f"there is no model '{model}'")
        values = {
            "budget": policy.budget,
            "window_rows": policy.window_rows,
            "votes": policy.votes,
            "windows": policy.windows,
            "steady": policy.steady,
        }
        detail = ", ".join(f"{name} {value:g}" for name, value in values.items())
        with self._database.write() as session:
            session.merge(PolicyRow(tenant=tenant, model=model, by=by, changed=now, **values))
            note(
                session,
                by=by,
                action="monitoring.policy",
                subject=model,
                now=now,
                detail=detail,
                tenant=tenant,
            )

    def _judge_new(self, bundle: str, after: int, now: datetime, tenant: str) -> int:
        segments = self._telemetry.segments(bundle, after=after, limit=AT_ONCE, tenant=tenant)
        if not segments:
            return 0
        watched = self._watch(bundle)
        if watched is None:
            return 0
        policy = self.policy(watched.model.name, tenant=tenant)
        return sum(self._judge(watched, segment, policy, now) for segment in segments)

    def _judge(self, watched: Watched, segment: Segment, policy: Policy, now: datetime) -> bool:
        assessment, threshold = self._judging.judge(watched, segment, policy, now)
        outcomes = ""
        with self._database.read() as session:
            alarm = recording.open_alarm(session, segment.tenant, segment.bundle)
        if alarm is not None:
            outcomes = self._outcomes_of(alarm)
        elif assessment.verdict is Verdict.DRIFTED:
            outcomes = self._outcomes(watched, segment.opened_s, segment.tenant)
        judged = Judged(
            watched=watched,
            segment=segment,
            policy=policy,
            assessment=assessment,
            threshold=threshold,
            outcomes=outcomes,
        )
        with self._database.write() as session:
            return recording.record(session, judged, now)

    def _watch(self, bundle: str) -> Watched | None:
        """Return what is known of a bundle; None where its manifest is gone."""
        held = self._watched.get(bundle)
        if held is not None:
            return held
        try:
            watched = watch(bundle, self._blobs, self._registry)
        except (NotFoundError, DocumentError):
            return None
        if watched.rows is not None:
            self._watched = dict(list(self._watched.items())[-MAX_WATCHED + 1 :])
            self._watched[bundle] = watched
        return watched

    def _alarm(self, row: AlarmRow) -> Alarm:
        return looking.alarm_of(row, self._outcomes_of(row))

    def _outcomes_of(self, row: AlarmRow) -> str:
        """Return how right answers are since an alarm began; of a closed one, as it was then."""
        watched = self._watch(row.bundle) if row.closed is None else None
        if watched is None:
            return row.outcomes
        return self._outcomes(watched, row.first_s, row.tenant) or row.outcomes

    def _outcomes(self, watched: Watched, since_s: float, tenant: str) -> str:
        since = datetime.fromtimestamp(since_s, UTC).replace(second=0, microsecond=0)
        minutes = self._telemetry.joined(watched.bundle, since, each_s=60, tenant=tenant)
        return accuracy_text(
            sum(one.judged for one in minutes),
            sum(one.correct for one in minutes),
            watched.accuracy,
            f"{since:%H:%M} UTC",
        )
