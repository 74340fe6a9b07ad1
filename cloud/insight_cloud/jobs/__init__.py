# SPDX-License-Identifier: Apache-2.0
"""What devices are asked to do once, signed as updates are; and what they measured."""
