# SPDX-License-Identifier: Apache-2.0
"""`run --source`: rows that come by themselves, each answered by a line of JSON."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from insight_edge.bundle.open import open_manifest
from insight_edge.cli.screen import err
from insight_edge.errors import ConfigurationError
from insight_edge.runtime.infer import Runtime
from insight_edge.streaming.answers import answers, line_of
from insight_edge.streaming.buffer import Policy
from insight_edge.streaming.discovery import source_of
from insight_edge.streaming.feed import Feed, Statistics


class Streaming(NamedTuple):
    """What was asked for.

    Attributes:
        source: `TOKEN:PLACE?options`.
        limit: answers after which it is left; None for none.
    """

    source: str
    queue: int
    policy: Policy
    limit: int | None


def stream(
    bundle: Path, asked: Streaming, output: Path | None, *, variant: str | None, threads: int | None
) -> None:
    """Answer the rows of a source until it ends, so many are answered, or somebody ends it.

    Raises:
        ConfigurationError, MissingError: the source needs a person.
        InputError, EngineError, EngineMissingError: the bundle cannot be run here.
    """
    if asked.limit is not None and asked.limit < 1:
        raise ConfigurationError("a limit is 1 or more")
    inputs = open_manifest(bundle, allow_unsigned=True).manifest.io.inputs
    source = source_of(asked.source, inputs)
    with (
        _ending() as ended,
        Runtime.open(bundle, allow_unsigned=True, variant=variant, threads=threads) as runtime,
        _written(output) as written,
        Feed(source, capacity=asked.queue, policy=asked.policy) as feed,
    ):
        failed = done = 0

        def wanted() -> bool:
            return not ended.is_set() and feed.statistics.taken != asked.limit

        for answer in answers(runtime, feed, wanted):
            written.write(line_of(answer))
            written.flush()
            done += 1
            failed += answer.result is None
        told = summary(feed.statistics, done, failed, asked.policy)
    err.print(told, soft_wrap=True)


def summary(found: Statistics, done: int, failed: int, policy: Policy) -> str:
    """Return in a line what became of all rows."""
    words = [
        f"{found.offered} rows read, {done - failed} answered, {failed} failed",
        f"{found.dropped} dropped ({policy}), {found.offered - done - found.dropped} left",
        f"at most {found.most} waited",
    ]
    if found.lost:
        words.append(f"{found.lost} lost by the source")
    if found.error:
        words.append(f"the source was opened again {found.restarts} times, after {found.error}")
    return "; ".join(words)


@contextmanager
def _written(output: Path | None) -> Iterator[IO[bytes]]:
    if output is None:
        yield sys.stdout.buffer
        return
    try:
        with output.open("wb") as file:
            yield file
    except OSError as error:
        raise ConfigurationError(f"{output}: {error.strerror or error}") from error


@contextmanager
def _ending() -> Iterator[threading.Event]:
    """Give an event that SIGINT and SIGTERM set; a second one ends at once."""
    ended = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}

    def end(*_: object) -> None:
        ended.set()
        for number in numbers:
            signal.signal(number, before[number])

    for number in numbers:
        signal.signal(number, end)
    try:
        yield ended
    finally:
        for number in numbers:
            signal.signal(number, before[number])
