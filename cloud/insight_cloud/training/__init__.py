# SPDX-License-Identifier: Apache-2.0
"""From a `train.toml` to a version in the registry, by the task the file names."""
