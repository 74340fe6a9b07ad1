# SPDX-License-Identifier: Apache-2.0
"""An ONNX file served by others, each by a program of `toolchain-servers`, with this on its path.

Each as its makers recommend for one model on a processor: one worker, no batching, ONNX Runtime
with one thread, no access log. MLServer answers in its own process, where it is fastest.
"""
