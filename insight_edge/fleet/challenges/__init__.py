# SPDX-License-Identifier: Apache-2.0
"""Challengers that the cloud asks for: fetched, laid beside the slots, compared by the host."""
