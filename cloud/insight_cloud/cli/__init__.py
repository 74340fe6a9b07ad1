# SPDX-License-Identifier: Apache-2.0
"""The verbs of `insight-cloud`: flags in, one call, results printed."""
