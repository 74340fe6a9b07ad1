# SPDX-License-Identifier: Apache-2.0
"""Run a bundle: load its artifact with an engine, answer, observe, swap.

`infer` is the way in, `seam` says what an engine is, `loading` finds and loads
one. No module here knows an engine by name; those in `engines` are found by
entry point.
"""

from insight_edge.runtime.infer import Runtime
from insight_edge.runtime.result import Flags, Result

__all__ = ["Flags", "Result", "Runtime"]
