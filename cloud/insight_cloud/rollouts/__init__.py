# SPDX-License-Identifier: Apache-2.0
"""A bundle to many devices: in waves, through gates, back again."""
