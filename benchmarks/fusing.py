# SPDX-License-Identifier: Apache-2.0
"""What `compile --fuse` is worth to a caller: `Runtime.infer` of the same model, fused and not.

Two bundles of one network on images of 64 and of 224 pixels, declared with scaling, normalising and
turning a uint8 image; one has these steps in its graph. Both answer the same photographs,
in turn in one process, one engine thread. The ratio is of the medians of whole calls.

Expected: NumPy passes over 224x224x3 numbers five times, about 0.5 ms, and the engine twice, in
about 0.15 ms; the network takes about 3 ms there. So 0.9 at 224 pixels and 0.85 at 64, where
each call of NumPy costs microseconds beside a network of 0.3 ms.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.bundles import ANY_DROP_PP, ONNXRUNTIME, ROUNDS, this_machine
from benchmarks.callers import Callers
from benchmarks.figure import Figure, figure_from_estimate
from benchmarks.networks import SHAPES, Kind, write_onnx
from insight_edge.bench.interleave import Block, interleave
from insight_edge.bench.measure import block_iterations, warm_up
from insight_edge.compile.compiler import compile_model
from insight_edge.compile.settings import Settings
from insight_edge.runtime.infer import Runtime
from insight_edge.stats.interval import ratio_interval

NAME = "fusing"
KINDS: tuple[Kind, ...] = ("image", "photo")
QUERIES, SAMPLE_ROWS, BLOCKS = 8, 64, 40
FUSED, APART = "fused", "steps by NumPy"

STEPS = """
inputs = [{{ name = "photo", dtype = "uint8", shape = ["batch", {size}, {size}, 3] }}]
pre = [
    {{ op = "scale", source = "photo", result = "x", factor = 0.00392156862745098 }},
    {{ op = "normalize", source = "x", result = "x", mean = [0.5, 0.4, 0.3], std = [1, 2, 3] }},
    {{ op = "layout", source = "x", result = "x", origin = "NHWC", to = "NCHW" }},
]
"""


def take(place: Path, tell: Callable[[str], None]) -> Iterator[Figure]:
    """Yield the figures; `place` is a directory to work in."""
    for kind in KINDS:
        size = SHAPES[kind][-1]
        tell(f"fusing: compiling for {size} pixels")
        bundles = _bundles(kind, place)
        tell(f"fusing: asking with {size} pixels")
        taken = _taken(bundles, _photos(QUERIES, size))
        medians = {name: float(np.median(np.concatenate(own))) for name, own in taken.items()}
        yield figure_from_estimate(
            ratio_interval(taken[FUSED], taken[APART]),
            name=NAME,
            case=f"image of {size} pixels",
            compared=(FUSED, APART),
            rounds=BLOCKS,
            note=f"{medians[FUSED] / 1e6:.3f} against {medians[APART] / 1e6:.3f} ms",
        )


def _bundles(kind: Kind, place: Path) -> dict[str, Path]:
    """Return the bundles of one network, fused and not."""
    model, steps, samples = (place / f"{kind}.{end}" for end in ("onnx", "toml", "npz"))
    size = SHAPES[kind][-1]
    write_onnx(kind, model)
    steps.write_text(STEPS.format(size=size))
    np.savez(samples, photo=_photos(SAMPLE_ROWS, size))
    found = {}
    for name, fuse in ((FUSED, True), (APART, False)):
        settings = Settings(
            only=(ONNXRUNTIME,), max_drop_pp=ANY_DROP_PP, threads=1, rounds=ROUNDS,
            transforms=steps, fuse=fuse, accept_unproven=True,
        )  # fmt: skip
        output = place / f"{kind}-{fuse}"
        compile_model(model, this_machine(), output, samples=samples, settings=settings)
        found[name] = output
    return found


def _taken(bundles: Mapping[str, Path], photos: NDArray[np.uint8]) -> dict[str, list[Block]]:
    feeds: list[Mapping[str, NDArray[Any]]] = [
        {"photo": photos[index : index + 1]} for index in range(len(photos))
    ]
    with ExitStack() as opened:
        calls = {
            name: opened.enter_context(Runtime.open(path, allow_unsigned=True, threads=1)).infer
            for name, path in bundles.items()
        }
        call_s = max(warm_up(call, cycle(feeds)) for call in calls.values())
        subjects = {
            name: (opened.enter_context(Callers(call, feeds, 1)), block_iterations(call_s))
            for name, call in calls.items()
        }
        return interleave(subjects, rounds=BLOCKS)


def _photos(count: int, size: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)
