# SPDX-License-Identifier: Apache-2.0
"""What travels up besides reports, and the cloud's word that it has arrived.

A message is known by the digest of its bytes as they were published. A device
keeps it until an `Ack` names that digest; the cloud keeps it once.
"""

from typing import Literal

from insight_edge.documents.codec import Versioned
from insight_edge.documents.host import PredictionRow

Value = bool | float | int | str

MAX_SAMPLE_BYTES = 4 * 1024 * 1024
"""Of the file of one sample: no longer one is kept, offered, uploaded or taken."""


class Ack(Versioned, frozen=True, kw_only=True):
    """What the cloud has committed, and what it wants to have.

    Attributes:
        received: digests of messages.
        uploads: where samples are to be put, by their digest.
    """

    received: tuple[str, ...] = ()
    uploads: dict[str, str] = {}


class Predictions(Versioned, frozen=True, kw_only=True):
    """Sampled results of one boot of one deployment, as columns: index i is one result.

    Attributes:
        counters: last part of each result's id; the id is `device/deployment/boot/counter`.
        bundles: digests of the manifests that answered.
        bundle: index in `bundles`.
        at_s: by the device's clock.
        outputs: by name; None where a result was too large to keep it.
    """

    device: str
    deployment: str
    boot: int
    counters: tuple[int, ...]
    keys: tuple[str | None, ...]
    bundles: tuple[str, ...]
    bundle: tuple[int, ...]
    at_s: tuple[float, ...]
    outputs: dict[str, tuple[tuple[Value, ...] | None, ...]] = {}


class SampleOffer(Versioned, frozen=True, kw_only=True):
    """An input that was kept on the device, to be uploaded when it is asked for.

    Attributes:
        id: of the result.
        digest: of the file, an .npz of the caller's inputs.
        score: why it was kept, in the unit of the reason: confidence, or the share of features
            out of range.
        outputs: what was answered.
    """

    device: str
    deployment: str
    id: str
    bundle: str
    digest: str
    length_bytes: int
    reason: Literal["uncertain", "out-of-range", "random"]
    score: float
    at_s: float
    outputs: dict[str, tuple[Value, ...]] = {}


class Outcome(Versioned, frozen=True, kw_only=True):
    """What turned out to be true of one result.

    Attributes:
        id: of the result, or None where `key` says which.
        key: that the caller passed to `infer`; with it, `deployment`.
        label: class index, class name or number.
        at_s: when it was known.
    """

    id: str | None = None
    key: str | None = None
    deployment: str | None = None
    label: int | float | str
    at_s: float
    source: str = "device"


def predictions_from_rows(
    device: str, deployment: str, rows: tuple[PredictionRow, ...]
) -> tuple[Predictions, ...]:
    """Return results as columns, one batch a boot."""
    boots: dict[int, list[tuple[int, PredictionRow]]] = {}
    for row in rows:
        boot, counter = (int(part) for part in row.id.rsplit("/", 2)[1:])
        boots.setdefault(boot, []).append((counter, row))
    return tuple(_batch(device, deployment, boot, several) for boot, several in boots.items())


def _batch(
    device: str, deployment: str, boot: int, several: list[tuple[int, PredictionRow]]
) -> Predictions:
    rows = [row for _, row in several]
    bundles = tuple(dict.fromkeys(row.bundle for row in rows))
    names = dict.fromkeys(name for row in rows for name in row.outputs)
    return Predictions(
        device=device,
        deployment=deployment,
        boot=boot,
        counters=tuple(counter for counter, _ in several),
        keys=tuple(row.key for row in rows),
        bundles=bundles,
        bundle=tuple(bundles.index(row.bundle) for row in rows),
        at_s=tuple(row.at_s for row in rows),
        outputs={
            name: tuple(tuple(row.outputs[name]) if name in row.outputs else None for row in rows)
            for name in names
        },
    )
