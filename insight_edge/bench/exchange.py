# SPDX-License-Identifier: Apache-2.0
"""What a subject's parent and child say to each other: a line of JSON each way.

The child is told how to load when it is started; then every order is answered
by one reply. Arrays do not travel in lines but in files that an order names.
"""

import msgspec

from insight_edge.bench.felt import Felt
from insight_edge.documents.measured import WarmUp

MAX_ARRAYS = 64
MAX_ARRAYS_BYTES = 8 * 2**30
"""Of one file, once unpacked."""

MAX_LINE_BYTES = 1 << 20
"""A reply lists the packages of an environment; nothing is longer."""


class Preparation(msgspec.Struct, frozen=True, kw_only=True):
    """What a child makes ready before it is timed.

    Attributes:
        rows: of a query; as many as the artifact takes at once, where that is more.
        warm_up_s: no group of calls begins later; briefly, as many artifacts are timed, for None.
        whole: it is warmed up for all of that time; otherwise until it is steady.
    """

    rows: int = 1
    warm_up_s: float | None = None
    whole: bool = False


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """What a child is to load.

    Attributes:
        bundle: directory, absolute.
        variant: its name; the winner for None.
        cpus: processors it is pinned to; none means all.
        inputs: .npz with rows as callers pass them; None for the golden inputs.
        parent: process that it must not outlive.
        timed: it is warmed up to be timed; otherwise it only answers.
    """

    bundle: str
    variant: str | None
    threads: int
    cpus: tuple[int, ...]
    inputs: str | None
    parent: int
    timed: bool = True
    preparation: Preparation = Preparation()


class Answer(msgspec.Struct, frozen=True, kw_only=True, tag="answer"):
    """Order: infer the model inputs of one .npz, write the raw model outputs to another."""

    inputs: str
    outputs: str


class Block(msgspec.Struct, frozen=True, kw_only=True, tag="block"):
    """Order: time some queries, one after the other, and write their durations in ns as .npy."""

    iterations: int
    durations: str


class Serve(msgspec.Struct, frozen=True, kw_only=True, tag="serve"):
    """Order: answer queries when they are due, as `scenarios.serving`.

    Attributes:
        due: .npy of when, i8[n] in ns.
        waiting: queries that may wait.
        times: .npy for when each was begun and answered, i8[n, 2].
    """

    due: str
    waiting: int
    times: str


class TellUsage(msgspec.Struct, frozen=True, kw_only=True, tag="usage"):
    """Order: say what was used until now.

    Attributes:
        anew: what is felt is added up from here on.
    """

    anew: bool = False


class Loaded(msgspec.Struct, frozen=True, kw_only=True, tag="loaded"):
    """Reply to the setup.

    Attributes:
        before_bytes: of memory, before the engine and the artifact were loaded.
        load_ms: from the checked bundle to a session.
        first_ms: of the first inference.
        rows: of a query.
        call_s: median duration of a query once warm; 0 where it is not to be timed.
        packages: versions of all packages of the child's environment.
        warm_up: what that took, where the setup says how long.
    """

    before_bytes: int = 0
    load_ms: float
    first_ms: float
    rows: int = 1
    call_s: float
    packages: dict[str, str]
    warm_up: WarmUp | None = None


class Done(msgspec.Struct, frozen=True, kw_only=True, tag="done"):
    """Reply to an order whose result is in a file."""


class Usage(msgspec.Struct, frozen=True, kw_only=True, tag="used"):
    """Reply: what the child used until now.

    Attributes:
        felt: what it felt of the machine in its blocks.
    """

    peak_rss_bytes: int
    felt: Felt = Felt()


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag="refused"):
    """Reply: why it cannot be done.

    Attributes:
        kind: name of a class in `errors`.
    """

    kind: str
    message: str
    hint: str | None


Order = Answer | Block | Serve | TellUsage
Reply = Loaded | Done | Usage | Refused
