# SPDX-License-Identifier: Apache-2.0
"""Latency that can be trusted: by scenario, in rounds, with noise and a verdict.

What is timed is a *subject*: a variant of a bundle in a child process. Rounds
of several subjects are interleaved; intervals resample rounds. Nothing is
chosen here, and no artifact is judged right or wrong.
"""
