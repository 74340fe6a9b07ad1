# SPDX-License-Identifier: Apache-2.0
"""What compiling is worth, over the zoo: against what people run, and against what peers make.

`python -m benchmarks compile` takes the figures of the whole zoo;
`python -m benchmarks.compile --zoo DIR NAME ...` those of some of its members.
"""
