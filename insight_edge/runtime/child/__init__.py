# SPDX-License-Identifier: Apache-2.0
"""An engine in a process of its own: what it does to its memory or to itself ends no caller.

`session` is what a runtime sees, `pool` who asks, `process` a child's life, `line` and `wire` what
both ends say, `program` the child.
"""
