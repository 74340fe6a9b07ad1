# SPDX-License-Identifier: Apache-2.0
"""Source models: files of any framework brought into checked ONNX, in a child process."""
