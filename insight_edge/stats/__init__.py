# SPDX-License-Identifier: Apache-2.0
"""Numbers that add up: what is counted on a device and merged anywhere.

Counting a stream whole or in parts and merging the parts gives the same bits.
This room is pure NumPy: it knows no document, opens no file, asks no clock.
"""
