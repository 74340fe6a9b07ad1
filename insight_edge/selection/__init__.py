# SPDX-License-Identifier: Apache-2.0
"""Which hardware a model needs: latency and memory foretold, and a choice among devices.

Pure: workloads, profiles and evidence go in. It measures nothing, reads no file and prints nothing.
"""
