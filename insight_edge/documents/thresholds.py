# SPDX-License-Identifier: Apache-2.0
"""The limit for windows of a bundle, as it is written; `stats.threshold` draws it.

It is kept beside the bundle and not in it: another budget is another document, and
no update of a device.
"""

from typing import Annotated

from msgspec import Meta

from insight_edge.documents.codec import Versioned
from insight_edge.stats.threshold import Threshold

Share = Annotated[float, Meta(gt=0, lt=1)]
Rows = Annotated[int, Meta(ge=1)]


class Thresholds(Versioned, frozen=True, kw_only=True):
    """The limit for windows of one size, drawn from one reference for one budget.

    Attributes:
        bundle: digest of its manifest.
        grid: digest of the grid of the reference.
        statistic: what the score is, e.g. `psi-max`.
        budget: share of windows like the reference that are above the limit.
        window_rows: of the windows it was drawn from; it serves for larger ones.
        limit: a window is like the reference as long as its score is not above.
        features: those that the score is the largest of, in the order of the reference.
        reference_rows: that windows were drawn from.
        depends: neighbouring rows are alike, or the reference changes on its way.
        seed, draws: that give the same limit again.
    """

    bundle: str
    grid: str
    statistic: str
    budget: Share
    window_rows: Rows
    limit: Annotated[float, Meta(ge=0)]
    features: tuple[str, ...]
    reference_rows: Rows
    depends: bool = False
    seed: int
    draws: Rows


def document_from_threshold(threshold: Threshold, *, bundle: str, grid: str) -> Thresholds:
    """Return a limit as it is written, for the bundle and grid with these digests."""
    return Thresholds(
        bundle=bundle,
        grid=grid,
        statistic=threshold.statistic,
        budget=threshold.budget,
        window_rows=threshold.window_rows,
        limit=threshold.limit,
        features=threshold.features,
        reference_rows=threshold.reference_rows,
        depends=threshold.depends,
        seed=threshold.seed,
        draws=threshold.draws,
    )


def threshold_from_document(document: Thresholds) -> Threshold:
    """Return the limit that was written."""
    return Threshold(
        window_rows=document.window_rows,
        limit=document.limit,
        budget=document.budget,
        statistic=document.statistic,
        features=document.features,
        reference_rows=document.reference_rows,
        depends=document.depends,
        seed=document.seed,
        draws=document.draws,
    )
