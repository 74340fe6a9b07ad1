# SPDX-License-Identifier: Apache-2.0
"""What is written to disk and sent over the wire, as frozen values.

One module a document; `codec` turns any of them into bytes and back. This room
is pure: it opens no file, asks no clock and knows no engine.
"""
