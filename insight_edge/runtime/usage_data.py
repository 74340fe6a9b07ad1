# SPDX-License-Identifier: Apache-2.0
"""Keep engines from sending usage data.

ONNX Runtime 1.31 opens a session with its vendor when it is imported, also on a
device in somebody's factory. Whoever wants that sets the variable to 0.
"""

import os


def send_none() -> None:
    """Tell engines that are imported from now on not to send anything."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
