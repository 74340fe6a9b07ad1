# SPDX-License-Identifier: Apache-2.0
"""Inference from your application, attached to a device's state directory.

    python application.py STATE BUNDLE samples.npz

puts the bundle into a slot, as the device agent will, and answers every row of
the samples. What was counted comes out as a report.
"""

import sys
from pathlib import Path

import numpy as np

from insight_edge.bundle.slots import Slots
from insight_edge.runtime import Runtime


def main() -> None:
    """Commit the bundle, attach, answer, report."""
    state, bundle, samples = map(Path, sys.argv[1:])
    slots = Slots(state)
    slots.commit(slots.stage(bundle))
    with Runtime.attach(state, allow_unsigned=True) as runtime, np.load(samples) as rows:
        images = rows["image"]
        for index in range(len(images)):
            runtime.infer({"image": images[index : index + 1]}, key=f"row-{index}")
        report = runtime.take_report()
    if report is not None:
        print(f"{report.counts.asked} asked, {report.counts.observed} counted")


if __name__ == "__main__":
    main()
