# SPDX-License-Identifier: Apache-2.0
"""Decode pictures into an .npz; run by a Python that has Pillow and nothing of this project.

Usage: decode.py OUT.npz PICTURE ...
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image


def main(out: str, *files: str) -> None:
    """Write (height, width, 3) arrays by the pictures' names."""
    found = {Path(file).stem: np.asarray(Image.open(file).convert("RGB")) for file in files}
    np.savez(out, allow_pickle=False, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
