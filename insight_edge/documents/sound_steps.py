# SPDX-License-Identifier: Apache-2.0
"""Steps on sound, from the bytes of a file to samples; computed in `transforms.sounds`."""

from insight_edge.documents.step import Step


class Sound(Step, frozen=True, kw_only=True, tag="sound"):
    """WAV files to samples; reads uint8 (batch, bytes), each file padded with zeros at its end.

    Writes float32 (batch, samples) from -1 to 1: the mean of all channels, the first so many
    samples, zeros after the end. PCM of 8, 16, 24 and 32 bits, and floats of 32.

    Attributes:
        rate: samples a second; a file of another rate is refused.
        samples: how many.
    """

    rate: int
    samples: int
