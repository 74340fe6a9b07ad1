# SPDX-License-Identifier: Apache-2.0
"""Builds that another machine does, by files in a folder that both reach."""
