# SPDX-License-Identifier: Apache-2.0
"""Run the Python of a device's environment under emulation, to look at something by hand.

python tools/arm/run.py PROFILE ENGINE ARGUMENT...
python tools/arm/run.py rpi5-8gb onnxruntime -c 'import onnxruntime as o; print(o.get_device())'

It is what `insight-edge compile` asks artifacts of another architecture in.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from insight_edge.compile.profiles.reading import find_profile
from insight_edge.compile.targets.emulation import find_emulation

USAGE = 2
MISSING = 4


def main(arguments: list[str]) -> int:
    """Run what is asked for and return its exit status."""
    if len(arguments) < 3:
        sys.stderr.write(__doc__ or "")
        return USAGE
    found = find_emulation(find_profile(arguments[0]))
    if isinstance(found, str):
        sys.stderr.write(f"{found}\n")
        return MISSING
    with tempfile.TemporaryDirectory() as seen:
        python = found.interpreter(arguments[1], Path(seen))
        command = [*python.command, *arguments[2:]]
        return subprocess.run(command, env=python.variables, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
