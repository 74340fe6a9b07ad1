# SPDX-License-Identifier: Apache-2.0
"""What an ONNX model is and what it asks for: checked, counted, put right, cut."""
