# SPDX-License-Identifier: Apache-2.0
"""The tasks of this distribution, each found by its entry point and imported by nobody."""
