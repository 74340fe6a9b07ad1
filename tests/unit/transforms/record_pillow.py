# SPDX-License-Identifier: Apache-2.0
"""Record what Pillow makes of a few files: `python tests/unit/transforms/record_pillow.py`.

Needs an environment with Pillow and NumPy alone, which the tests do not; they read
`data/pillow.npz`, where `file.<kind>` are bytes, `rgb.<kind>` and `grey.<kind>` pixels,
`resize.<method>.<h>x<w>` the RGB file resized, and `evaluated` the usual transform of an
evaluation: shorter side to 20, middle of 16.
"""

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

FILE = Path(__file__).parent / "data" / "pillow.npz"
KINDS = ("L", "LA", "P", "RGB", "RGBA")
SIZES = ((9, 31), (40, 12), (23, 30))
METHODS = {"nearest": Image.Resampling.NEAREST, "bilinear": Image.Resampling.BILINEAR}


def photograph() -> Image.Image:
    """Return 23 rows of 30 pixels: shades and a little noise, so that every filter is used."""
    rows, columns = np.mgrid[0:23, 0:30]
    shades = np.stack([rows * 9, columns * 7, (rows + columns) * 4], axis=-1)
    noise = np.random.default_rng(7).integers(0, 12, shades.shape)
    noise[:6] *= 8
    return Image.fromarray((shades + noise).clip(0, 255).astype(np.uint8))


def bytes_of(image: Image.Image, form: str) -> np.ndarray:
    """Return the file of an image."""
    stream = BytesIO()
    image.save(stream, form)
    return np.frombuffer(stream.getvalue(), np.uint8)


def main() -> None:
    """Write the file."""
    photo = photograph()
    files = {kind: bytes_of(photo.convert(kind), "PNG") for kind in KINDS}
    files |= {"ppm": bytes_of(photo, "PPM"), "pgm": bytes_of(photo.convert("L"), "PPM")}
    arrays = {f"file.{kind}": data for kind, data in files.items()}
    for kind, data in files.items():
        with Image.open(BytesIO(data.tobytes())) as image:
            arrays[f"rgb.{kind}"] = np.asarray(image.convert("RGB"))
            arrays[f"grey.{kind}"] = np.asarray(image.convert("RGB").convert("L"))
    for name, method in METHODS.items():
        for height, width in SIZES:
            arrays[f"resize.{name}.{height}x{width}"] = np.asarray(
                photo.resize((width, height), method)
            )
    smaller = photo.resize((20 * 30 // 23, 20), METHODS["bilinear"])
    left, top = round((smaller.width - 16) / 2), round((smaller.height - 16) / 2)
    arrays["evaluated"] = np.asarray(smaller.crop((left, top, left + 16, top + 16)))
    np.savez_compressed(FILE, **arrays)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
