# SPDX-License-Identifier: Apache-2.0
"""The Open Inference Protocol over HTTP, on this machine, so that any language can ask.

    bytes ─ framing ─▶ request ─ desk ─▶ calls (threads) ─ answering ─▶ Runtime.infer

`head`, `chunks`, `framing`, `access`, `routes` and `exposition` are pure; `connection` and
`server` hold the sockets, all on one event loop; an engine runs in the threads of `calls`, so
that health is told meanwhile. Nothing is loaded or swapped here: the runtime does that.
"""
