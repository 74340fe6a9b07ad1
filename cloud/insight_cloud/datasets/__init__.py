# SPDX-License-Identifier: Apache-2.0
"""Data sets and their splits, which never change once a model was trained on them."""
