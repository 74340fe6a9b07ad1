# SPDX-License-Identifier: Apache-2.0
"""Work out a new job: of which bundle, for which devices. Nothing is recorded here."""

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta

from insight_cloud.devices.device import Device
from insight_cloud.devices.selection import Selection, selected
from insight_cloud.devices.service import Devices
from insight_cloud.jobs.job import BENCH, Job, Member, State, Terms
from insight_cloud.jobs.rules import (
    AT_MOST,
    MAX_DEVICES,
    check_terms,
    chosen,
    progress,
    unfit_reason,
)
from insight_cloud.platform.errors import ConflictError, NotFoundError
from insight_cloud.releases.rules import Release
from insight_cloud.releases.rules import State as ReleaseState
from insight_cloud.releases.service import Releases
from insight_edge.documents.result import artifact_digest

TOLD_OF = 50
"""Devices whose reason for being left out is kept; of others there is the count."""


def prepare(
    releases: Releases,
    devices: Devices,
    bundle: str,
    selection: Selection,
    terms: Terms,
    *,
    by: str,
    now: datetime,
    tenant: str,
) -> tuple[Job, tuple[Member, ...]]:
    """Return a job and its devices.

    Args:
        releases: the service below.
        devices: the service below.
        bundle: digest of its manifest.
        selection: which devices are meant.
        terms: how it is timed.
        by: who wants it.
        now: when.
        tenant: whose.

    Raises:
        ConfigurationError: the terms cannot be meant.
        NotFoundError: no such bundle was published, or no device is meant.
        ConflictError: no device may install the bundle, or none that is meant is fit.
    """
    release = _listed(releases, bundle)
    variants = releases.manifest(bundle).variants
    artifacts = {one.name: artifact_digest(one.files) for one in variants}
    check_terms(terms, artifacts)
    id_ = f"{BENCH}-{secrets.token_hex(6)}"
    by_default = AT_MOST if selection.devices is None else MAX_DEVICES
    meant = {one.name: one for one in selected(devices, selection, tenant)}
    left_out = _left_out(release, selection, meant)
    fit = [one for name, one in meant.items() if name not in left_out]
    asked = chosen(id_, fit, terms.devices or by_default)
    members = tuple(Member(device=name) for name in sorted(asked))
    job = Job(
        tenant=tenant,
        id=id_,
        kind=BENCH,
        bundle=bundle,
        model=release.model,
        version=release.version,
        profile=release.profile,
        artifacts=artifacts,
        targets={one.name: one.target.token for one in variants},
        selection=selection,
        terms=terms,
        left_out=dict(list(left_out.items())[:TOLD_OF]),
        spare=len(fit) - len(asked),
        state=State.WAITING,
        reason=progress(members),
        by=by,
        created=now,
        expires=now + timedelta(seconds=terms.lifetime_s),
        withdrawn=None,
        ended=None,
    )
    return job, members


def _listed(releases: Releases, bundle: str) -> Release:
    release = releases.release(bundle)
    label = f"{bundle[:19]} of {release.model}:{release.version}"
    if release.state is ReleaseState.PENDING:
        raise ConflictError(
            f"{label} waits for approval: no device would fetch it",
            hint=f"insight-cloud release approve {bundle}",
        )
    if release.state is ReleaseState.REVOKED:
        raise ConflictError(f"{label} was revoked by {release.decided_by}")
    return release


def _left_out(
    release: Release, selection: Selection, meant: Mapping[str, Device]
) -> dict[str, str]:
    """Return why devices are not asked, by name.

    Raises:
        NotFoundError: none is meant.
        ConflictError: none is fit.
    """
    found = {name: unfit_reason(one, release.profile) for name, one in meant.items()}
    gone = {name: "it left the fleet" for name in selection.devices or () if name not in meant}
    left_out = gone | {name: why for name, why in found.items() if why is not None}
    if not meant and not gone:
        raise NotFoundError("no device is meant", hint="insight-cloud device list")
    if all(name in left_out for name in meant):
        name, why = next(iter(left_out.items()))
        raise ConflictError(f"no device is fit for it; {name}: {why}")
    return left_out
