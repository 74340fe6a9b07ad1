# SPDX-License-Identifier: Apache-2.0
"""What the statistics of one inference take of a processor, the caller's part and the thread's.

Nothing is asked of an engine: rows are kept in a lane and counted from it as the runtime
does, in chunks of the size that it takes. The 64 columns of a table, and an image of
3x224x224 with its default features, sampled as the compiler has it and, to compare, whole.
The image is held against a MobileNet's inference in INT8 by one thread of ONNX Runtime.
Compared is processor time.

Expected: 1.2 µs a row of 64 columns; 0.1 ms an image, 3 % of an inference of 3.3 ms;
0.9 ms of a whole one, a quarter.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.figure import Figure, figure_from_estimate
from insight_edge.documents.steps import Feature
from insight_edge.documents.tensors import TensorSpec
from insight_edge.runtime.lane import Lane, row_shape
from insight_edge.stats.grid import grid_from_rows
from insight_edge.stats.interval import median_interval, ratio_interval
from insight_edge.stats.tally import Tally
from insight_edge.transforms.features import Extractor, column_features, image_features
from insight_edge.transforms.sampling import Sampling, default_strides

NAME = "statistics"
ROUNDS = 30
COLUMNS, TABLE_ROWS = 64, 2000
"""As many rows as wait when a lane of them rings."""

IMAGE, IMAGES = (3, 224, 224), 10
BAR_US, BAR_SHARE = 1.5, 0.05

Block = NDArray[np.float64]
Calls = Sequence[dict[str, NDArray[np.float32]]]


def take(place: Path, tell: Callable[[str], None]) -> Iterator[Figure]:
    """Yield the figures; `place` is a directory to work in."""
    tell("statistics: 64 columns")
    columns = column_features("x", [f"x{i}" for i in range(COLUMNS)])
    yield _table_figure(_Counting(columns, (COLUMNS,), {}).blocks(TABLE_ROWS))
    tell("statistics: quantising a MobileNet")
    inference = _inference(place)
    features = image_features("x", IMAGE[0])
    spec = TensorSpec(name="x", dtype="float32", shape=("n", *IMAGE))
    for case, strides in (("sampled", default_strides(features, [spec])), ("whole", {})):
        tell(f"statistics: images, {case}")
        counting = _Counting(features, IMAGE, strides)
        own, other = [], []
        for _ in range(ROUNDS):
            own.append(counting.block(IMAGES))
            other.append(inference())
        yield figure_from_estimate(
            ratio_interval(own, other),
            name=NAME,
            case=f"images of 3x224x224, {case}",
            compared=("statistics of one image", "one INT8 inference"),
            rounds=ROUNDS,
            bar=BAR_SHARE if strides else None,
            note=f"{_median_ms(own):.2f} ms against {_median_ms(other):.1f}",
        )


class _Counting:
    """Keeps rows in a lane and counts them, as callers and the observer do."""

    def __init__(
        self, features: Sequence[Feature], shape: tuple[int, ...], strides: dict[str, int]
    ) -> None:
        spec = TensorSpec(name="x", dtype="float32", shape=("n", *shape))
        self._sampling = Sampling(strides, features, [spec]) if strides else None
        self._spec = spec if self._sampling is None else self._sampling.specs([spec])[0]
        sampled = frozenset(strides)
        self._extractor = Extractor(features, sampled)
        random = np.random.default_rng(0)
        self._calls = [
            {"x": random.standard_normal((1, *shape), np.float32)} for _ in range(IMAGES)
        ]
        rows = np.vstack([self._extractor.rows(self._joined(i)) for i in range(IMAGES)])
        self._tally = Tally(grid_from_rows([feature.name for feature in features], rows))
        self._lane = Lane([self._spec], [])

    def blocks(self, rows: int) -> list[Block]:
        """Return the duration in ns of a row, one number a round."""
        return [self.block(rows) for _ in range(ROUNDS)]

    def block(self, rows: int) -> Block:
        """Keep and count so many rows; return the mean duration of one in ns."""
        calls, sampling, lane = self._calls, self._sampling, self._lane
        began_ns = time.process_time_ns()
        for number in range(rows):
            call = calls[number % IMAGES]
            lane.keep(1, 0, call if sampling is None else sampling.blocks(call, number), {})
        while lane.put > lane.taken:
            (kept,) = lane.take(rows).kept
            x = np.frombuffer(kept, np.float32).reshape(-1, *row_shape(self._spec))
            self._tally.observe(self._extractor.rows({"x": x}), spent=True)
        took_ns = time.process_time_ns() - began_ns
        self._tally.reset()
        return np.array([took_ns / rows])

    def _joined(self, number: int) -> dict[str, NDArray[np.float32]]:
        call = self._calls[number]
        return dict(call if self._sampling is None else self._sampling.joined(call, number))


def _table_figure(blocks: list[Block]) -> Figure:
    value, low, high = (ns / 1e3 for ns in median_interval(blocks))
    return figure_from_estimate(
        (value, low, high),
        name=NAME,
        case=f"{COLUMNS} features, 1 row a call",
        compared=("statistics of one inference", "nothing"),
        unit="us",
        rounds=ROUNDS,
        bar=BAR_US,
    )


def _inference(place: Path) -> Callable[[], Block]:
    """Return what times one inference of a MobileNet in INT8, weights drawn, by one thread."""
    from benchmarks.mobilenet import quantized_mobilenet

    run = quantized_mobilenet(place)
    x = np.random.default_rng(0).standard_normal((1, *IMAGE), np.float32)
    run(x)

    def timed() -> Block:
        began_ns = time.process_time_ns()
        run(x)
        return np.array([float(time.process_time_ns() - began_ns)])

    return timed


def _median_ms(blocks: Sequence[Block]) -> float:
    return float(np.median(np.concatenate(blocks))) / 1e6
