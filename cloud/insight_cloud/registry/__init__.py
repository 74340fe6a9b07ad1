# SPDX-License-Identifier: Apache-2.0
"""Models, their versions and what they are called: numbers that grow, aliases that move."""
