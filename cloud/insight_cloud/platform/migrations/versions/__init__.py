# SPDX-License-Identifier: Apache-2.0
"""One revision a file, in order; a released one is never edited."""
