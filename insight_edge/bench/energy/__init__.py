# SPDX-License-Identifier: Apache-2.0
"""Energy of an inference, where a machine has something to read it from.

`source` is the seam; `rapl`, `hwmon` and `nvml` are what is looked for, in `sources`; `meter`
reads a run and subtracts what the machine takes idle. Nothing is estimated from data sheets.
"""
