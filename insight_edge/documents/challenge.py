# SPDX-License-Identifier: Apache-2.0
"""What a window of a challenger says besides: who answered whom, and who would have otherwise.

Counts alone, so that those of many windows and devices add up; rules C1 to C4 in
docs/formats/documents.md.
"""

from collections.abc import Iterable

from insight_edge.documents.codec import Document

_COUNTS = (
    "compared", "dropped", "failed", "spent_ns", "cpu_ns", "keyed_served", "keyed_challenged",
    "fell_back",
)  # fmt: skip


class OutputDisagreement(Document, frozen=True, kw_only=True):
    """One output of the rows that were compared.

    Attributes:
        differing: rows in which it is another answer.
        decibels: rows by their signal-to-noise ratio in whole steps of 6 dB; empty where the
            output is no floating-point number.
    """

    name: str
    differing: int
    decibels: dict[str, int] = {}


class Disagreement(Document, frozen=True, kw_only=True):
    """A challenger beside one bundle that served.

    Attributes:
        against: digest of the bundle whose answers the callers had.
        rows: that were compared.
        differing: of them, answered otherwise.
        odd: of them, in which one bundle gave a number and the other NaN or infinity.
    """

    against: str
    rows: int
    differing: int
    odd: int = 0
    outputs: tuple[OutputDisagreement, ...] = ()


class Challenge(Document, frozen=True, kw_only=True):
    """What a challenger did in one window.

    Attributes:
        compared, dropped, failed: what became of calls that it was to repeat: repeated and
            compared; no room or no time; it raised, or answered what cannot be compared. One
            that waits at the end of a window counts in the window in which that is known.
        spent_ns: time that repeating took, by the clock.
        cpu_ns: processor time of the thread that repeats.
        share: of calls with a key that it was to answer, when the window was closed.
        keyed_served, keyed_challenged: calls with a key, by which bundle answered.
        fell_back: of `keyed_served`, those that the challenger had failed before.
    """

    compared: int = 0
    dropped: int = 0
    failed: int = 0
    spent_ns: int = 0
    cpu_ns: int = 0
    share: float = 0.0
    keyed_served: int = 0
    keyed_challenged: int = 0
    fell_back: int = 0
    disagreements: tuple[Disagreement, ...] = ()

    @property
    def sampled(self) -> int:
        """Calls that it was to repeat."""
        return self.compared + self.dropped + self.failed


def together(parts: Iterable[Challenge]) -> Challenge:
    """Return what several windows say together; the share is the last one's."""
    several = tuple(parts)
    counts = {name: sum(getattr(part, name) for part in several) for name in _COUNTS}
    return Challenge(
        **counts,
        share=several[-1].share if several else 0.0,
        disagreements=merged(part for one in several for part in one.disagreements),
    )


def merged(parts: Iterable[Disagreement]) -> tuple[Disagreement, ...]:
    """Return disagreements added up, one for each bundle that served, in order of first sight."""
    by_bundle: dict[str, list[Disagreement]] = {}
    for part in parts:
        by_bundle.setdefault(part.against, []).append(part)
    return tuple(_sum(against, several) for against, several in by_bundle.items())


def _sum(against: str, several: list[Disagreement]) -> Disagreement:
    outputs: dict[str, list[OutputDisagreement]] = {}
    for part in several:
        for output in part.outputs:
            outputs.setdefault(output.name, []).append(output)
    return Disagreement(
        against=against,
        rows=sum(part.rows for part in several),
        differing=sum(part.differing for part in several),
        odd=sum(part.odd for part in several),
        outputs=tuple(_sum_output(name, parts) for name, parts in outputs.items()),
    )


def _sum_output(name: str, parts: list[OutputDisagreement]) -> OutputDisagreement:
    decibels: dict[str, int] = {}
    for part in parts:
        for step, rows in part.decibels.items():
            decibels[step] = decibels.get(step, 0) + rows
    return OutputDisagreement(
        name=name,
        differing=sum(part.differing for part in parts),
        decibels=dict(sorted(decibels.items(), key=lambda pair: int(pair[0]))),
    )
