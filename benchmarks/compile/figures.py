# SPDX-License-Identifier: Apache-2.0
"""The compiler's figures of the zoo: what was taken of each model becomes ratios and verdicts.

A ratio below 1 is faster. A rival counts where it loses no more than the chosen
bundle does; one that loses more is shown without a bar, its loss beside it.
"""

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from benchmarks.compile.ratios import Pair, geometric_mean, not_slower
from benchmarks.compile.rivals import METHODS
from benchmarks.compile.subjects import CHOSEN, DEFAULT, FALLBACK, TORCH, Taken
from benchmarks.figure import (
    Figure,
    Unit,
    Verdict,
    figure_from_count,
    figure_from_estimate,
)
from insight_edge.documents.evidence import Interval, Trial
from insight_edge.stats.interval import ratio_interval

NAME = "compile"
TORCH_BAR, DEFAULT_BAR, RIVAL_BAR = 1 / 4, 1 / 2, 1 / 1.1
HEAVY = ("mobilenet", "resnet18", "unet", "encoder")
"""Convolutional networks and the encoder."""

LARGE_BYTES = 5_000_000
SIZE_BAR = 0.30
DROP_BAR_PP = 0.5
INT8_BAR_S = 60.0


def figures_of(taken: Taken) -> Iterator[Figure]:
    """Yield the figures of one model."""
    for peer in (TORCH, DEFAULT, FALLBACK, *METHODS.values()):
        if peer in taken.blocks:
            yield _against(taken, peer)
    yield _drop(taken)
    yield _failed(taken)
    yield from _sizes(taken)
    times: list[tuple[str, float, float | None]] = [
        ("compilation, nothing kept", taken.cold_s, None),
        ("compilation, builds kept", taken.cached_s, None),
    ]
    if taken.int8_s is not None:
        times.append(("INT8 of a CNN with 300 rows", taken.int8_s, INT8_BAR_S))
    for told, seconds, bar in times:
        yield _plain(taken, told, "of one model", seconds, unit="s", bar=bar)


def figures_of_all(taken: Sequence[Taken], *, vnni: bool) -> Iterator[Figure]:
    """Yield the geometric means over all models.

    Args:
        taken: of each.
        vnni: the processor sums products of 8-bit numbers in 32 bits; without it there is no bar
            for what needs that.
    """
    heavy = [one for one in taken if one.card.name in HEAVY]
    rivals = list(METHODS.values())
    asked = [
        (taken, [TORCH], TORCH_BAR if vnni else None, "all networks"),
        (heavy, [DEFAULT], DEFAULT_BAR if vnni else None, "CNNs and encoder"),
        *((taken, [rival], None, "all models it makes at no larger drop") for rival in rivals),
        (taken, rivals, RIVAL_BAR, "all models they make at no larger drop"),
    ]
    for models, peers, bar, case in asked:
        pairs = [pair for one in models for peer in peers for pair in _fair(one, peer)]
        if pairs:
            yield figure_from_estimate(
                geometric_mean(pairs),
                name=NAME,
                case=case,
                compared=("chosen p50, geometric mean", " and ".join(peers)),
                rounds=min(len(own) for own, _ in pairs),
                bar=bar,
                note=f"{len(pairs)} pairs",
            )


def _fair(taken: Taken, peer: str) -> list[Pair]:
    """Return the rounds of both sides, unless the peer was not timed or loses more."""
    if peer not in taken.blocks or not _counts(taken, peer):
        return []
    return [(taken.blocks[CHOSEN], taken.blocks[peer])]


def _counts(taken: Taken, peer: str) -> bool:
    return taken.drop_pp.get(peer, 0.0) <= max(0.0, _drop_pp(taken.chosen))


def _against(taken: Taken, peer: str) -> Figure:
    own, other = taken.blocks[CHOSEN], taken.blocks[peer]
    estimate = ratio_interval(own, other)
    own_ms, other_ms = (float(np.median(np.concatenate(b))) / 1e6 for b in (own, other))
    note = f"{taken.chosen.target.token}: {own_ms:.3g} against {other_ms:.3g} ms"
    figure = figure_from_estimate(
        estimate,
        name=NAME,
        case=taken.card.name,
        compared=("chosen p50", peer),
        rounds=len(own),
        note=note if peer not in taken.drop_pp else f"{note}; it {_loss(taken, peer)}",
    )
    if not _counts(taken, peer):
        return figure
    return msgspec.structs.replace(figure, bar=1.0, verdict=not_slower(estimate, len(own)))


def _loss(taken: Taken, peer: str) -> str:
    return f"loses {taken.drop_pp[peer]:.2f} pp, ours {_drop_pp(taken.chosen):.2f}"


def _drop_pp(trial: Trial) -> float:
    return trial.proof.drop_pp if trial.proof else 0.0


def _drop(taken: Taken) -> Figure:
    proof = taken.chosen.proof
    note = "" if proof is None else f"{proof.verdict}: {proof.reason}"
    return _plain(
        taken,
        "drop in percentage points",
        "accuracy" if taken.card.labelled else "agreement",
        _drop_pp(taken.chosen),
        bar=DROP_BAR_PP,
        note=note,
    )


def _failed(taken: Taken) -> Figure:
    """Return how many of the builds that the plan thought possible came to nothing."""
    tried = [trial for trial in taken.trials if trial.status != "refused"]
    failed = [trial for trial in tried if trial.status == "failed"]
    figure = figure_from_count(
        len(failed), name=NAME, case=taken.card.name, counted="builds that failed", total=len(tried)
    )
    note = "; ".join(f"{trial.target.token}: {trial.reason}" for trial in failed)
    return msgspec.structs.replace(figure, note=note)


def _sizes(taken: Taken) -> Iterator[Figure]:
    """Yield the size of each INT8 that was built over its engine's FP32."""
    built = {trial.target.token: trial for trial in taken.trials if trial.artifact_bytes}
    for token, trial in built.items():
        full = built.get(f"{trial.target.backend}:fp32")
        if trial.target.precision != "int8" or full is None or "+" in token:
            continue
        full_bytes, own_bytes = full.artifact_bytes or 1, trial.artifact_bytes or 0
        yield _plain(
            taken,
            f"bytes of {token}",
            full.target.token,
            own_bytes / full_bytes,
            unit="x",
            bar=SIZE_BAR if full_bytes >= LARGE_BYTES else None,
            note=f"{own_bytes / 1e6:.2f} of {full_bytes / 1e6:.2f} MB; {trial.reason}",
        )


def _plain(
    taken: Taken,
    measured: str,
    peer: str,
    value: float,
    *,
    unit: Unit = "",
    bar: float | None = None,
    note: str = "",
) -> Figure:
    """Return the figure of what was taken once and has no interval."""
    verdict: Verdict | None = None
    if bar is not None:
        verdict = "WITHIN" if value <= bar else "OVER"
    return Figure(
        name=NAME,
        case=taken.card.name,
        measured=measured,
        peer=peer,
        unit=unit,
        value=Interval(value=value, low=value, high=value, confidence=1.0),
        rounds=1,
        bar=bar,
        verdict=verdict,
        note=note,
    )
