# SPDX-License-Identifier: Apache-2.0
"""What is known when nothing was measured: the factors that this release comes with.

Fitted on networks of another seed than the figure is taken on (`benchmarks.prediction_networks`,
seed 1), timed with OpenVINO on one Zen 5 machine that was held back in seven ways, from plain
factors of 1 to 5. They are a start for processors, and no knowledge of the one at hand: that
machine was among those that the figure is taken on, of another make they may be further off.
"""

from typing import Final

from insight_edge.selection.factors import Factors

SHIPPED: Final = Factors(
    values=(1.27, 2.92, 1.34, 3.60, 2.21, 0.091, 1.09, 1.0, 0.533, 3.40, 1.0, 10.7)
)
"""In the order of `costs.KINDS`."""

SHIPPED_CLASS: Final = "x86_64"
"""The class of machines that they were fitted on."""

DATASHEET_LOG_LOW: Final = -0.5
DATASHEET_LOG_HIGH: Final = 0.5
"""Within which 90 % of the logarithms of measured over predicted lay, rounded outwards."""
