# SPDX-License-Identifier: Apache-2.0
"""Reports of other benchmark tools, read for what they say and no more."""
