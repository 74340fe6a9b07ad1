# SPDX-License-Identifier: Apache-2.0
"""The project's own figures, each a ratio or a difference with an interval.

`python -m benchmarks` takes all of them, `python -m benchmarks swap --json` one,
for a program. What is compared is measured in the same run, in turn with its
peer. Timing is `insight_edge.bench`'s, resampling too; what each figure means
and what it was when last taken is in docs/guides/figures.md.

A package for developers of this project: nothing of the product imports it,
and it is in no distribution.
"""
