# SPDX-License-Identifier: Apache-2.0
"""INT8: what calibrates it, where it hurts, and how models of ONNX and OpenVINO become it."""
