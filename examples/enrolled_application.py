# SPDX-License-Identifier: Apache-2.0
"""Inference from your application on an enrolled device, and what you learn later.

    python enrolled_application.py /var/lib/insight-edge/deployments/camera-1 samples.npz

attaches to what `insight-edge agent enroll` printed, and answers every row of the samples
under a key of your own. When it turns out what was true (somebody looked, the part was
measured, the order came back), that is said by the same key; weeks later is early enough.
The agent has both before the program ends.
"""

import sys
from pathlib import Path

import numpy as np

from insight_edge.runtime import Runtime


def main() -> None:
    """Attach, answer, and say what was true."""
    place, samples = map(Path, sys.argv[1:])
    with Runtime.attach(place) as runtime, np.load(samples) as arrays:
        inputs = {name: arrays[name] for name in arrays.files if name != "labels"}
        labels = arrays["labels"]
        for row in range(len(labels)):
            asked = {name: array[row : row + 1] for name, array in inputs.items()}
            result = runtime.infer(asked, key=f"part-{row}")
        kept = [runtime.outcome(label, key=f"part-{row}") for row, label in enumerate(labels)]
        print(f"{len(labels)} answered by {result.bundle}, {sum(kept)} outcomes on their way")


if __name__ == "__main__":
    main()
