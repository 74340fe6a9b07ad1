# SPDX-License-Identifier: Apache-2.0
"""Durable runs that end in a retrained model on every device."""
