# SPDX-License-Identifier: Apache-2.0
"""Rows that come by themselves, from a folder, a file, a camera or a topic, put through a bundle.

    source ─ feed (a thread) ─▶ buffer (bounded, drops as it was told) ─ inputs ─▶ Runtime.infer

Sources are found by entry point `insight_edge.sources`. None of them knows a model or an engine.
"""
