# SPDX-License-Identifier: Apache-2.0
"""Files on their way: bundles in, kept inputs out, whatever breaks meanwhile."""
