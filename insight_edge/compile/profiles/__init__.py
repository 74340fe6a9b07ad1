# SPDX-License-Identifier: Apache-2.0
"""Hardware profiles as files. What follows from one is for `targets`."""
