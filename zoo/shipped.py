# SPDX-License-Identifier: Apache-2.0
"""Files that packages ship, read where `toolchain-zoo` has them installed.

Nothing of those packages is imported: what they depend on is not there. Pictures
are decoded by a child of that environment, which has Pillow.
"""

import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.compile.toolchains.environments import environment_python
from insight_edge.errors import ModelError

ENVIRONMENT = "toolchain-zoo"
DECODE_TIMEOUT_S = 60

PICTURES = (
    "astronaut.png", "brick.png", "chelsea.png", "coffee.png", "grass.png", "gravel.png",
    "hubble_deep_field.jpg", "ihc.png", "moon.png", "motorcycle_left.png",
)  # fmt: skip
"""Of scikit-image, each large enough for crops that do not overlap."""


def shipped(relative: str) -> Path:
    """Return the path of a file that a package ships.

    Raises:
        ToolchainMissingError: the environment is not installed.
        ModelError: it has no such file.
    """
    path = packages() / relative
    if not path.exists():
        raise ModelError(f"{ENVIRONMENT} has no {relative}")
    return path


def packages() -> Path:
    """Return the folder that the packages are installed in.

    Raises:
        ToolchainMissingError: the environment is not installed.
    """
    environment = environment_python(ENVIRONMENT).parent.parent
    return next((environment / "lib").glob("python*")) / "site-packages"


@cache
def pictures() -> dict[str, NDArray[np.uint8]]:
    """Return (height, width, 3) pictures by name, without the suffix.

    Raises:
        ToolchainMissingError: the environment is not installed.
        ModelError: they cannot be decoded.
    """
    folder = shipped("skimage/data")
    script = Path(__file__).with_name("decode.py")
    with tempfile.TemporaryDirectory(prefix="insight-edge-zoo-") as place:
        decoded = Path(place) / "pictures.npz"
        files = [str(folder / name) for name in PICTURES]
        command: list[Any] = [environment_python(ENVIRONMENT), script, decoded, *files]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=DECODE_TIMEOUT_S, check=False
        )
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ["it said nothing"]
            raise ModelError(f"the pictures cannot be decoded: {lines[-1]}")
        with np.load(decoded, allow_pickle=False) as held:
            return {name: held[name] for name in held.files}
