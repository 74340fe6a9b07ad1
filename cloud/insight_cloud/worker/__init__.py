# SPDX-License-Identifier: Apache-2.0
"""The processes without a door: the ingester, and the worker that acts on time."""
