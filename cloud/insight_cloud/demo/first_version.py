# SPDX-License-Identifier: Apache-2.0
"""Version 1 of the demo's model, trained and compiled with the ordinary programs."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from insight_cloud.demo import screen
from insight_cloud.demo.programs import call

MODEL_FOLDER = "model-1"


def take_trained(trained: Path, folder: Path) -> None:
    """Copy version 1 of another place: its `state` and its `export`; before the cloud starts."""
    shutil.copytree(trained / "state", folder / "cloud")
    shutil.copytree(trained / "export", folder / MODEL_FOLDER)


def train(folder: Path, train_toml: Path, settings: Iterable[str]) -> None:
    """Train version 1.

    Raises:
        ProgramError: the program refused.
    """
    screen.chapter("Version 1 learns")
    call(
        "insight-cloud", "train", train_toml,
        *_each("--set", settings),
        "--state", folder / "cloud", "--export", folder / MODEL_FOLDER,
    )  # fmt: skip


def publish(
    folder: Path, profiles: Iterable[str], targets: Iterable[str], max_drop_pp: float
) -> None:
    """Compile version 1 for some profiles, and publish its bundles.

    Raises:
        ProgramError: a program refused.
    """
    names = tuple(profiles)
    screen.chapter(f"Compile it for {', '.join(names)}")
    call(
        "insight-edge", "compile",
        "-m", folder / MODEL_FOLDER / "model.onnx",
        "--calibration", folder / MODEL_FOLDER / "data.npz",
        "--max-drop", f"{max_drop_pp:g}",
        "--cache", folder / "builds",
        "-o", folder / "bundle-1-{profile}",
        *_each("--profile", names),
        *_each("--target", targets),
    )  # fmt: skip
    for name in names:
        bundle = folder / f"bundle-1-{name}"
        call("insight-cloud", "release", "publish", bundle, "--state", folder / "cloud")


def _each(flag: str, values: Iterable[str]) -> list[str]:
    return [word for value in values for word in (flag, value)]
