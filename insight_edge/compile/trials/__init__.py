# SPDX-License-Identifier: Apache-2.0
"""Artifacts asked, proven, timed, and repaired where INT8 fails; and the bundle they go into."""
