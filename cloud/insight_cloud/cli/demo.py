# SPDX-License-Identifier: Apache-2.0
"""Verb `demo`: tell the whole story on this machine."""

import signal
from pathlib import Path


def demo(
    train_toml: Path,
    *,
    directory: Path = Path(".demo"),
    shift: str = "defocus-dim",
    seed: int = 0,
    stay: bool = False,
    kill_each: float | None = None,
) -> None:
    """Tell the whole story on this machine: train, ship, shift the world, retrain, ship again.

    Exits 1 when a promise was not kept.

    Args:
        train_toml: what to train; examples/train.toml has the digits.
        directory: emptied first; keeps everything that was made.
        shift: what happens to the world: `none`, `defocus-dim`, `defocus`, `dim`, `noise`,
            `occlusion` or `sideways`.
        seed: of training, streams and noise.
        stay: leave everything running at the end.
        kill_each: kill some process every so many seconds, on average.
    """
    from insight_cloud.demo.story import Options, tell_story

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # it too ends all that was started
    tell_story(
        Options(
            folder=directory,
            train_toml=train_toml,
            shift=shift,
            seed=seed,
            stay=stay,
            kill_each_s=kill_each,
        )
    )
