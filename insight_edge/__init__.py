# SPDX-License-Identifier: Apache-2.0
"""Insight Edge: compile a model for each device, prove it, run it, swap it.

The package itself holds nothing but its version; import the room you need
(`insight_edge.runtime`, `insight_edge.compile.compiler`, ...).
"""

__version__ = "0.1.0"
