# SPDX-License-Identifier: Apache-2.0
"""The line to the broker, and what waits until it has been heard."""
