# SPDX-License-Identifier: Apache-2.0
"""What is worth building for a profile, and what can be said of it before anything is built."""
