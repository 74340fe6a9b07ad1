# SPDX-License-Identifier: Apache-2.0
"""The console's pages, one router a noun; what they show is worked out in `<noun>_view`."""
