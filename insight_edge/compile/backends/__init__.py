# SPDX-License-Identifier: Apache-2.0
"""What compiles ONNX for an engine; found by entry point `insight_edge.backends`."""
