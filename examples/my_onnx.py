# SPDX-License-Identifier: Apache-2.0
"""Your own ONNX in five lines: compile it for a machine like this one, and ask it. No cloud.

    insight-edge profiles detect --id here -o here.toml
    python my_onnx.py model.onnx samples.npz here.toml

The samples hold rows by input name, to prove and to calibrate on, and `labels`
where there are any.
"""

import sys
from pathlib import Path

import numpy as np

from insight_edge.compile.compiler import compile_model
from insight_edge.compile.profiles.reading import find_profile
from insight_edge.runtime import Runtime

NO_INPUTS = ("labels", "verification")


def main() -> None:
    """Compile, open, and print the answer to the first row."""
    model, samples, profile = sys.argv[1:]
    done = compile_model(
        Path(model), find_profile(profile), Path("my.bundle"), samples=Path(samples)
    )
    with np.load(samples) as rows:
        row = {name: rows[name][:1] for name in rows.files if name not in NO_INPUTS}
    with Runtime.open(done.bundle, allow_unsigned=True) as runtime:
        print(runtime.infer(row).outputs)


if __name__ == "__main__":
    main()
