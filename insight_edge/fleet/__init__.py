# SPDX-License-Identifier: Apache-2.0
"""The agent on a device: identity, link to the cloud, updates, and what the host counts."""
