# SPDX-License-Identifier: Apache-2.0
"""Run a bundle: load its artifact with an engine, answer, observe, swap.

`infer` is the way in, `seam` says what an engine is, `loading` finds and loads
one. No module here knows an engine by name; those in `engines` are found by
entry point.
"""

import gc

_COLLECTING = gc.isenabled()
gc.disable()  # a dozen collections while classes are made that stay: a tenth of the import
try:
    from insight_edge.runtime.infer import Runtime
    from insight_edge.runtime.result import Flags, Result
finally:
    if _COLLECTING:
        gc.enable()

__all__ = ["Flags", "Result", "Runtime"]
