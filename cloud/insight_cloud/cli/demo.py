# SPDX-License-Identifier: Apache-2.0
"""Verb `demo`: tell the whole story on this machine."""

from pathlib import Path


def demo(train_toml: Path, *, directory: Path = Path(".demo")) -> None:
    """Tell the whole story on this machine: train, compile, prove, run, swap under load.

    Exits 1 when a promise was not kept.

    Args:
        train_toml: what to train; examples/train.toml has the digits.
        directory: emptied first; keeps everything that was made.
    """
    from insight_cloud.demo.story import tell_story

    tell_story(directory, train_toml)
