# SPDX-License-Identifier: Apache-2.0
"""What is known when nothing was measured: the factors that this release comes with.

Fitted by `python -m benchmarks prediction --priors` on networks of another seed than the figure
is taken on, timed with OpenVINO on one Zen 5 machine that was held back in several ways. They
are a start for processors, and no knowledge of the one at hand.
"""

from typing import Final

from insight_edge.selection.factors import Factors

SHIPPED: Final = Factors(values=(2.0, 5.0, 3.0, 5.0, 2.0, 0.1, 1.0, 1.0, 0.5, 1.0, 1.0, 1.0))
"""In the order of `costs.KINDS`."""

SHIPPED_CLASS: Final = "x86_64"
"""The class of machines that they were fitted on."""

DATASHEET_LOG_LOW: Final = -0.7
DATASHEET_LOG_HIGH: Final = 0.7
"""Between which 90 % of the logarithms of measured over predicted lay."""
