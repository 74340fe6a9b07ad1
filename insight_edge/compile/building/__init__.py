# SPDX-License-Identifier: Apache-2.0
"""Builds in child processes within limits, and the cache that keeps them."""
