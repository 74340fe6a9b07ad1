# SPDX-License-Identifier: Apache-2.0
"""How a deployment goes from one bundle to the next: a protocol of pure steps, told by events."""
