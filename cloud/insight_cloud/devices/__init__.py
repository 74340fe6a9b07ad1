# SPDX-License-Identifier: Apache-2.0
"""The devices of a fleet: how they join, what they say of themselves, what they should run."""
