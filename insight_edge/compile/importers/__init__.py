# SPDX-License-Identifier: Apache-2.0
"""What reads a framework's files as ONNX; found by entry point `insight_edge.importers`."""
